"""What is shown across rooms.

Reading order: tenant_panels (the customer's own pages), search_hits, queries,
operations (figures that earlier rooms' pages ask for), api, views (Home, search, billing).
"""

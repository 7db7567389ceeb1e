"""What is shown across rooms.

Reading order: tenant_panels (the customer's own pages), queries, operations (figures that earlier
rooms' pages ask for), api, views (Home, search, billing).
"""

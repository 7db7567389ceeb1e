"""API keys: made, shown once, given to the nodes as hashes, revoked.

Reading order: api_keys.py (what a key is and may), endpoints.py (where it can call),
queries.py, operations.py, views.py, api.py.
"""

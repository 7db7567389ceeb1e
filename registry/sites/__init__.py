"""Sites: places with power and a connection, where nodes stand.

Reading order: countries.py (which there are), site.py (what a site may be), definition.py (a
site.toml into values), queries.py, operations.py, views.py.
"""

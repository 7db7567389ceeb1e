"""Who did what: rows that are only added, each chained to the one before by its hash.

Reading order: event.py (what is written and how it is hashed), queries.py, operations.py.
"""

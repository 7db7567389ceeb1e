"""Nodes: machines at sites, how they enrol, and how they stand.

Reading order: enrolment.py (secrets, and what is refused), node.py (what is known of one),
standing.py (online, degraded, not heard from), contact.py (what a node's call changes),
queries.py, operations.py, pages.py (what each page shows), views.py, api.py.
"""

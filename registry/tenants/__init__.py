"""Organizations, their departments, projects and members, and who may do what.

Reading order: roles.py (may this actor do this here), naming.py (names as they are kept),
queries.py, operations.py, views.py.
"""

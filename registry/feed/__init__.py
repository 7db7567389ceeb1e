"""What happened to an organization, as a feed that only grows: each event once, by its id.

Reading order: event, queries, operations.
"""

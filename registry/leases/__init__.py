"""Budget handed to nodes: how much each tenant's work on each node may cost before we are asked.

Reading order: terms, allotment, queries, operations.
"""

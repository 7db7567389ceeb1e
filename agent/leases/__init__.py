"""Budget leases on the node: spend stays bounded while the registry is away.

Reading order: gate (may a tenant's work start, go on, or must it stop), queries, operations.
"""

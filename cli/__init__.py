"""`outstation`, the command of customers: launch, watch, release, models, balance.

Reading order: answers (what the registry says, typed), exits (how an error becomes an exit code),
session (where the key is kept), client (calls), show (tables and JSON), commands, main.
"""

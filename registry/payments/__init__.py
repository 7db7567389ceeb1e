"""Payments by card as our own rows: what a processor must do, and what its answers mean.

Reading order: provider (what a processor must do), checkout (the table of a top-up's states),
fees, queries, operations (units of work).
"""

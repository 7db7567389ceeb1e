"""Webhooks of the card processor: what is read of them, and what they lead to.

Reading order: webhook (what is refused and what is kept), queries, operations, loop, api.
"""

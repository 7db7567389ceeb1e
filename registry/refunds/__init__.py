"""Money that goes back: refunds to cards, and payments that banks take back.

Reading order: queries, operations, loop.
"""

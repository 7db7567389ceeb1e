"""Money that goes back: refunds to cards, and payments that banks take back.

Reading order: portions (the tax in what goes back), journals, queries, operations, loop.
"""

"""What the rows of card payments say of the books, for a check of both.

Reading order: queries, operations.
"""

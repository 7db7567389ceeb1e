"""What usage costs: which price was in force, what a record comes to, and who bears it.

Reading order: price_book, charge.
"""

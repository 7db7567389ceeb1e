"""What moves money besides payments and usage: what an operator says, and what time does.

Operators grant and write off, set charges right, and say what a tenant may owe and how it is
taxed; grants expire, and shares of sites mature.  Reading order: grants, shares, terms, queries,
operations.
"""

"""What the rarer entries of usage logs leave behind: sessions, gaps, corrections, keys.

Reading order: given_back (money that a correction returns), queries, operations.
"""

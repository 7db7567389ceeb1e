"""Double entry in micros: journals that balance, accounts that are their sums.

Reading order: account_names, postings, audit (what a check of the books finds), queries,
operations.
"""

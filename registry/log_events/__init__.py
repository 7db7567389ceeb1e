"""What the rarer entries of usage logs leave behind: sessions, gaps, corrections, keys.

Reading order: effective_time (when usage counts where clocks differ), facts (what such entries are
judged by), given_back (money that a correction returns), queries, operations.
"""

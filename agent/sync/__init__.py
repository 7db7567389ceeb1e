"""One outbound call: what this node holds and sees, for what it should do and may spend.

Reading order: exchange (what an answer changes, and what it must not), time_estimate (what time it
is there), queries, operations, client, loop.
"""

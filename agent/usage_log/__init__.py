"""Usage records, tamper-evident: entries in one byte form under a Merkle tree that the node signs.

Reading order: stream (what one entry makes of its stream), log_state (the log as a value),
key_change (how another key comes to sign it),
audit (everything computed again, the first wrong entry named), queries, operations, loop (the
whole log again, every day).
"""

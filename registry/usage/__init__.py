"""Usage that was verified: each node's log as far as it was accepted, and what follows from it.

Reading order: entries (bytes into entries), log_tree (the tree over a log, in bundles),
log_state (what is known of a log), extension (does a batch continue the log), acceptance (do its
entries keep the rules), stretch (the same by the column), tally (what it comes to), recount (the
whole log again, for a check), statements, queries, operations.
"""

"""What was used, by whom, for how long: running allocations and finished calls into usage records.

Reading order: timekeeper (the node's own time), intervals (stretches of time, cut), run_usage
(a run into records), call_usage (finished calls into records), queries, operations, loop.
"""

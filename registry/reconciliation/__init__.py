"""The card processor's own list of movements held against the books; any difference is a finding.

Reading order: sources (what a movement is about), queries, operations, loop, views (what the
platform's operators see of payments).
"""

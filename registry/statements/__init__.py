"""Statements: what a tenant was charged in a period, with the proof of every line.

Reading order: period (months and their edges), segments (hours into lines to be proven), search
(where in a log the records of a line stand), focus (the same as FOCUS 1.2 rows), queries,
operations, panels, api, views.
"""

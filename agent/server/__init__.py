"""The node as an HTTP server: its frame, its limits, and how the answer no is written.

Reading order: limits (bytes, time and rate of one request), problems (refusals and faults into
HTTP), app (the application and the socket it listens on).
"""

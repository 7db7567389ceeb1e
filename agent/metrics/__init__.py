"""The node seen by monitoring: a sign of life, and figures in Prometheus' text format.

Reading order: exposition (the text format), figures (what is told, under which names), routes.
"""

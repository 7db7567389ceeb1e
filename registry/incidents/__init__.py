"""What is wrong with a node: opened, kept and closed by what nodes and registry report.

Reading order: queries, operations.
"""

"""Apps: manifests with a name that can be chosen at launch.

Reading order: queries, operations.
"""

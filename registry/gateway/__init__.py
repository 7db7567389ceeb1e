"""The models that nodes serve, as one list a key may use.

Reading order: queries, operations, api.
"""

"""What is shown across rooms.

Reading order: operations.py (figures that earlier rooms' pages ask for).
"""

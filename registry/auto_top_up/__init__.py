"""A saved card that is charged by itself when the balance falls below a threshold.

Reading order: rule (when it is, and when it stops), operations, loop, views (the list of payments,
the card and the rule).
"""

"""What is sold and for how much: SKUs and their price versions.

Reading order: sku (a catalogue file into SKUs and prices), queries, operations, api.
"""

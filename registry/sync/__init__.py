"""Answers a node's call: takes in what it saw and logged, says what it should do and may spend.

Reading order: answer (what a node should hear), operations, api.
"""

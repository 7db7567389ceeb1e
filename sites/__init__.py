"""Declarative site definitions, and the demo that sets one up."""

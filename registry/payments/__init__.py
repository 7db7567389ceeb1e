"""Payments by card: what is asked of the card processor, and what its answers do to the books."""

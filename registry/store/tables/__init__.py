"""The tables of each room, one file per room; metadata.py holds what makes them one schema."""

"""The check of all money: the books against themselves and against what nodes signed."""

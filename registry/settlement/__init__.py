"""Where our rows and the card processor meet: a top-up is asked for, followed, and credited once.

Reading order: cards (what the pages are handed), operations (settle, the one way in which a top-up
moves on), loop, panels, views.
"""

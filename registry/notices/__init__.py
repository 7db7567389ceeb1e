"""What a person must see on every page until its cause is gone.

Reading order: banners (when each is shown and what it says), queries, views (what the shell asks).
"""

"""What is wrong with this node, since when, and what to do about it.

Reading order: facts (what the checks may look at), check (a question, and what the answers come
to), checks (one small file each), queries (the findings that are open), loop (asks them all).
"""

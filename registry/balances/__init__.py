"""How an organization's money stands: its state, kept with every edge that it ever crossed once.

Reading order: burn (what calls cost an hour, of late), states (the machine, with hysteresis and
reminders), wording (what a mail says), queries, operations (`follow` writes an edge with all that
it gives; `standing` is the same decision for a page), loop (mails that wait).
"""

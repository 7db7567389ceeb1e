"""What sites earn, and how it is paid out in whole cents.

Reading order: months, earnings (charges into a site's share), states (how a payout moves), sender
(what pays), figures (a site's month as its page shows it), queries, operations, loop, views.
"""

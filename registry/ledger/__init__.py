"""Double entry in micros: journals that balance, accounts that are their sums.

Reading order: account_names, postings (tenants), payment_postings (the payment provider),
site_postings (what sites earn), adjustments (what operators said), balance and posture (how it
stands), audit and founded (what a check of the books finds), queries, operations, api, views
(adding funds; the pages of money that need later rooms are in overview).
"""

"""People and signing in.

Reading order: sign_in.py (addresses, links, codes, and how often one may try), letters.py (what is
mailed, and what a mailer must do), queries.py, operations.py, views.py.
"""

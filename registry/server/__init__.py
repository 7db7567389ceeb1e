"""The registry as an HTTP server: what every request meets before and after its view.

Reading order: session.py (who asks, with which connection, when), problems.py (refusals and faults
into answers), forms.py (CSRF), idempotency.py (the same key, the same answer), paging.py (pages by
key), live.py (parts that refresh), headers.py (what every answer carries), assets.py (static
files), page.py (the shell around a page), application.py (all of it on a Flask application).
"""

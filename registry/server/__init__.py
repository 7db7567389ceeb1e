"""The registry as an HTTP server: what every request meets before and after its view.

Reading order: session.py (who asks, with which connection, when), settings.py (how the registry
was set up), problems.py (refusals and faults into answers), forms.py (CSRF), idempotency.py (the
same key, the same answer) over queries.py, paging.py (pages by key), envelope.py (JSON in and
out), node_calls.py (signed calls of nodes), live.py (parts that refresh), headers.py (what every
answer carries), assets.py (static files), page.py (the shell around a page), logs.py (lines as
JSON), application.py (all of it on a Flask application).
"""

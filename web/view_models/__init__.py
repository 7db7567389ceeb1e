"""What pages are given: frozen values, raw figures in, no text made for the eye.

Money is `*_micros` of the account currency, time `*_at_ms` UTC epoch milliseconds, durations
`*_ms`; filters turn them into words. Reading order: shell.py (what surrounds each page), parts.py
(pieces several pages share), then one file per family: accounts, tenants, overview, allocations,
launch, billing, access, nodes, sites, problems.

Each page template is rendered with `page` (its view model) and, when somebody is signed in,
`shell`. A live part (`_part.html`) is rendered with the same `page`.
"""

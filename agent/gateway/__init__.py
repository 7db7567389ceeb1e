"""OpenAI-compatible calls: admitted, reserved for, carried to a backend, counted and settled.

Reading order: json_body (bytes into JSON, strictly), content (what a message may carry), calls (a
call and its worst case), key_ring (which key is asking), price_list (what a model costs), admission
(how often and how many at a time), backends (which ready backend), token_count (tokens of an
answer, chunk by chunk), answers (what the gateway says itself); queries, operations, client
(discovery), loop (call rows in batches; backends watched), relay (bytes both ways), routes.
"""

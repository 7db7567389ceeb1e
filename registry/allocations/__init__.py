"""Launch, watch, operate, release.

Reading order: launch_form (what a person or program asks for), placement (which node), progress
(what happened, in words), queries, operations, api, views.
"""

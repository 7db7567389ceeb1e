"""Launch, watch, operate, release.

Reading order: launch_form (what a person or program asks for), placement (which node), fleet (the
nodes as a launch sees them), progress
(what happened, in words), seen (an allocation as people see it), filter, offers (what can be
launched now), launch_panel and panels (what the pages show), answers (what the API says), queries,
operations, api, views.
"""

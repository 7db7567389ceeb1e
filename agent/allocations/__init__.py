"""What runs becomes what should run: containers on this node's engine, one per allocation.

Reading order: run (one allocation as this node remembers it), runtime (what an engine must do),
container_spec (a manifest into a container), images (which images may run), network_policy (what
a container may reach), plan (desired and running into actions), probes (ready, waiting, given up),
client (asks a container whether it is ready), queries, operations, loop.
"""

"""The machine and third parties: every file is a door, and only node.py composes them.

Reading order: host (clocks and the machine's own figures), driver_thread (calls that may hang),
nvml and simulated (GPUs, real and not), docker_engine (containers), keyfile (the node's key).
"""

"""Whole nodes, a registry and customers in one process, under faults, from one seed.

What runs is the shipped code of both sides.  Only what lies around it is made here: clocks, chance,
the network, container engines, disks in memory, and the people who launch and pay.

Reading order: setup (what a seed decides), timeline, machine (clocks, a disk, an engine), agent (a
node's program on a machine), network, centre (the registry), people (who launches, pays, suspends),
calls (of models), truth (what must hold, computed apart), world (all of it together), shorten (the
least that still fails), report (what `outstation simulate` tells).
"""

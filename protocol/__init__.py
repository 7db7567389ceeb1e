"""The contract between agent and registry: shared types and rules, all of them pure.

Reading order: ids, money, clock, refusal, exits, wire, canonical, signing, http_signature, merkle,
note, checkpoint, receipt, tiles, fork_evidence, price, log_events, usage, call_row, lifecycle,
settings, manifest, health, observed, desired, lease, key_set, enrolment, sync.
"""

PROTOCOL_VERSION = 1
"""Numbered; a side speaks this version and the two before it (design: N-2 both ways)."""

PROTOCOL_VERSIONS_SUPPORTED = (1,)

__version__ = "0.1.0"

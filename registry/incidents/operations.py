"""Findings opened, kept and closed: level-triggered, so a repeated report changes nothing."""

from collections.abc import Iterable

from msgspec.structs import replace

from protocol.clock import DAY_MS
from protocol.health import Finding
from registry.incidents import queries
from registry.store.database import Db

NODE = "node"
REGISTRY = "registry"
AGE_MS_MAX = 366 * DAY_MS
"""A finding that a node says is older began so long ago: a dead clock knows no dates."""

CLOSED_KEPT_MAX = 1_024
"""How many of a node's findings are kept once they are over: a node may say anything, often."""


def record_findings(db: Db, node_id: str, findings: Iterable[Finding], *, now_ms: int) -> None:
    """Make the node's open findings those it reports: open new ones, close what it left out."""
    reported = {
        (found.code, found.subject): replace(
            found, since_ms=min(max(found.since_ms, now_ms - AGE_MS_MAX), now_ms)
        )
        for found in findings
    }
    known = {
        (found.code, found.subject): found
        for found in queries.list_open(db, node_id=node_id, source=NODE)
    }
    for identity, found in reported.items():
        if identity not in known:
            queries.insert_finding(db, node_id, NODE, found, now_ms=now_ms)
        else:
            queries.change_finding(db, node_id, NODE, found)
    gone = known.keys() - reported.keys()
    for code, subject in gone:
        queries.close_finding(db, node_id, NODE, code=code, subject=subject, now_ms=now_ms)
    if gone:
        queries.forget_closed(db, node_id, NODE, keep=CLOSED_KEPT_MAX)


def settle_findings(
    db: Db, node_id: str, findings: Iterable[Finding], *, codes: frozenset[str], now_ms: int
) -> None:
    """Make the registry's own findings of these codes those that were just made."""
    made = {(found.code, found.subject): found for found in findings}
    for known in queries.list_open(db, node_id=node_id, source=REGISTRY):
        identity = (known.code, known.subject)
        if known.code in codes and identity not in made:
            close_finding(db, node_id, code=known.code, subject=known.subject, now_ms=now_ms)
    for found in made.values():
        open_finding(db, node_id, found, now_ms=now_ms)


def open_finding(db: Db, node_id: str, found: Finding, *, now_ms: int) -> None:
    """Open a finding of the registry's own about a node, or bring its words up to date."""
    known = queries.list_open(db, node_id=node_id, source=REGISTRY)
    if any((one.code, one.subject) == (found.code, found.subject) for one in known):
        queries.change_finding(db, node_id, REGISTRY, found)
    else:
        queries.insert_finding(db, node_id, REGISTRY, found, now_ms=now_ms)


def close_finding(db: Db, node_id: str, *, code: str, subject: str = "", now_ms: int) -> bool:
    """Close a finding of the registry's own; False if it was not open."""
    return queries.close_finding(db, node_id, REGISTRY, code=code, subject=subject, now_ms=now_ms)

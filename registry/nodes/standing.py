"""How a node stands: a silent node is not heard from, never failed."""

from collections.abc import Iterable
from typing import Literal

SILENT_MS = 45_000
"""Three calls missed."""

SEVERITIES = "outstation-node-severities"
"""Under this name `app.py` hands the doors how bad each node's open findings are, by node id."""

Standing = Literal["online", "degraded", "offline", "waiting", "retired"]
WORRYING = frozenset({"warning", "critical"})


def is_heard(last_contact_at_ms: int | None, *, now_ms: int) -> bool:
    """Whether the node is in contact, whatever is wrong with it: it can be asked and told."""
    return last_contact_at_ms is not None and now_ms - last_contact_at_ms <= SILENT_MS


def standing(
    last_contact_at_ms: int | None,
    severities: Iterable[str],
    *,
    now_ms: int,
    is_retired: bool = False,
) -> Standing:
    """Return the node's standing, wherever it is shown.  severities: of its open findings"""
    if is_retired:
        return "retired"
    if last_contact_at_ms is None:
        return "waiting"
    if not is_heard(last_contact_at_ms, now_ms=now_ms):
        return "offline"
    return "degraded" if WORRYING.intersection(severities) else "online"

"""How a node stands: a silent node is not heard from, never failed."""

from collections.abc import Iterable
from typing import Literal

SILENT_MS = 45_000
"""Three calls missed."""

Standing = Literal["online", "degraded", "offline", "waiting", "retired"]
WORRYING = frozenset({"warning", "critical"})


def standing(
    last_contact_at_ms: int | None,
    severities: Iterable[str] = (),
    *,
    now_ms: int,
    is_retired: bool = False,
) -> Standing:
    """Return the node's standing.  severities: of its open findings"""
    if is_retired:
        return "retired"
    if last_contact_at_ms is None:
        return "waiting"
    if now_ms - last_contact_at_ms > SILENT_MS:
        return "offline"
    return "degraded" if WORRYING.intersection(severities) else "online"

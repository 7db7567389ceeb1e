"""The registry has not been heard from.  The node goes on within its leases."""

from collections.abc import Iterator

from agent.health.check import Check, Complaint
from agent.health.facts import Facts

WARNING_MS = 60_000
CRITICAL_MS = 12 * 3_600_000
"""Half of the day for which a stale key set is honoured."""


def complaints(facts: Facts) -> Iterator[Complaint]:
    """Warn after a minute, critical after 12 hours."""
    silent_ms = facts.registry_silent_ms
    if silent_ms is None or silent_ms <= WARNING_MS:
        return
    critical = silent_ms > CRITICAL_MS
    yield Complaint(
        severity="critical" if critical else "warning",
        subject="registry",
        detail=f"The registry was last heard from {silent_ms // 1_000} s ago.",
        remedy="Check the uplink and the name of the registry. Running work goes on within its "
        "leases; usage is kept and sent later.",
    )


CHECK = Check(code="registry_silent", question=complaints)

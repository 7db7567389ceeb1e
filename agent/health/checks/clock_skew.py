"""The clock of this node is off.  Nothing is billed by it, but signatures and grants are judged."""

from collections.abc import Iterator

from agent.health.check import Check, Complaint
from agent.health.facts import Facts

WARNING_MS = 5_000
CRITICAL_MS = 300_000
"""Beyond this the registry accepts no signature of ours."""


REMEDY = "Turn time synchronisation on: `timedatectl set-ntp true`."


def complaints(facts: Facts) -> Iterator[Complaint]:
    """Warn beyond 5 s either way, critical beyond 300 s."""
    skew_ms = facts.clock_skew_ms
    if skew_ms is None or abs(skew_ms) <= WARNING_MS:
        return
    direction = "ahead of" if skew_ms > 0 else "behind"
    yield Complaint(
        severity="critical" if abs(skew_ms) > CRITICAL_MS else "warning",
        subject="clock",
        detail=f"The clock is {abs(skew_ms)} ms {direction} the registry's.",
        remedy=REMEDY,
    )


CHECK = Check(code="clock_skew", question=complaints)

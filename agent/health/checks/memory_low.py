"""The machine runs out of memory: the kernel will soon choose what to kill."""

from collections.abc import Iterator

from agent.health.check import Check, Complaint
from agent.health.facts import Facts

WARNING_PERCENT = 10
CRITICAL_PERCENT = 3


def complaints(facts: Facts) -> Iterator[Complaint]:
    """Warn below 10 % available, critical below 3 %."""
    total, available = facts.host.memory_total_mib, facts.host.memory_available_mib
    if available * 100 >= total * WARNING_PERCENT:
        return
    critical = available * 100 < total * CRITICAL_PERCENT
    yield Complaint(
        severity="critical" if critical else "warning",
        subject="memory",
        detail=f"{available} MiB of {total} MiB of memory are available.",
        remedy="End what else runs on this machine, or sell shapes with less memory.",
    )


CHECK = Check(code="memory_low", question=complaints, stops_sales=True)

"""The usage log is not intact, so that nothing could be billed from here on."""

from collections.abc import Iterator

from agent.health.check import Check, Complaint
from agent.health.facts import Facts

REMEDY = (
    "Leave the file as it is and run `outstation-agent verify-log`; what the registry has cosigned "
    "is safe."
)


def complaints(facts: Facts) -> Iterator[Complaint]:
    """Critical: work that cannot be metered must not be sold."""
    if facts.log_fault is not None:
        yield Complaint(
            severity="critical",
            subject="usage_log",
            detail=f"The usage log is not intact: {facts.log_fault}",
            remedy=REMEDY,
        )


CHECK = Check(code="log_broken", question=complaints, stops_sales=True)

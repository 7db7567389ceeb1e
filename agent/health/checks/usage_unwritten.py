"""The disk has no room for usage: nothing more is sold; what cannot be written is not billed."""

from collections.abc import Iterator

from agent.health.check import Check, Complaint
from agent.health.facts import Facts


def complaints(facts: Facts) -> Iterator[Complaint]:
    """Critical from the first tick that could not be written until there is room again."""
    if facts.usage_fault is not None:
        yield Complaint(
            severity="critical",
            subject="usage",
            detail=facts.usage_fault,
            remedy="No new work is taken. Remove unused images (`docker image prune`) and old "
            "files, or give the node a larger disk; metering goes on by itself.",
        )


CHECK = Check(code="usage_unwritten", question=complaints, stops_sales=True)

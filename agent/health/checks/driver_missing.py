"""The driver of the GPUs is absent or does not fit its kernel module."""

from collections.abc import Iterator

from agent.health.check import Check, Complaint
from agent.health.facts import Facts

REMEDY = "Install the NVIDIA driver so that nvidia-smi lists the cards, then restart the agent."


def complaints(facts: Facts) -> Iterator[Complaint]:
    """Critical: no GPU can be given to anyone."""
    if facts.driver_fault is not None:
        yield Complaint(
            severity="critical",
            subject="driver",
            detail=facts.driver_fault,
            remedy=facts.driver_remedy or REMEDY,
        )


CHECK = Check(code="driver_missing", question=complaints, stops_sales=True)

"""The container engine does not answer: nothing can be started, what runs is left alone."""

from collections.abc import Iterator

from agent.health.check import Check, Complaint
from agent.health.facts import Facts

REMEDY = (
    "Install and start the engine (`systemctl enable --now docker`) and run the agent as root or "
    "as a member of the group docker; `docker info` must answer that user."
)


def complaints(facts: Facts) -> Iterator[Complaint]:
    """Critical: without an engine there is nothing to sell."""
    if facts.docker_fault is not None:
        yield Complaint(
            severity="critical",
            subject="docker",
            detail=f"The container engine does not answer: {facts.docker_fault}",
            remedy=REMEDY,
        )


CHECK = Check(code="docker_down", question=complaints, stops_sales=True)

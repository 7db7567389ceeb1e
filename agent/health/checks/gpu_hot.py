"""A GPU is hotter than it should ever be under load."""

from collections.abc import Iterator

from agent.health.check import Check, Complaint
from agent.health.facts import Facts

WARNING_C = 87
CRITICAL_C = 95


def complaints(facts: Facts) -> Iterator[Complaint]:
    """Warn from 87 C, where data center cards begin to slow down; critical from 95 C."""
    for card in facts.accelerators:
        if card.temperature_c is None or card.temperature_c < WARNING_C:
            continue
        yield Complaint(
            severity="critical" if card.temperature_c >= CRITICAL_C else "warning",
            subject=card.uuid,
            detail=f"GPU {card.uuid} ({card.model}) is at {card.temperature_c} °C.",
            remedy="Check the fans, the filters and the temperature of the room.",
        )


CHECK = Check(code="gpu_hot", question=complaints)

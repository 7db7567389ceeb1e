"""A GPU does not answer.  It is fenced; the others go on."""

from collections.abc import Iterator

from agent.health.check import Check, Complaint
from agent.health.facts import Facts


def complaints(facts: Facts) -> Iterator[Complaint]:
    """Critical for each lost card, naming the allocation that held it."""
    for card in facts.accelerators:
        if card.loss is None:
            continue
        held = f" It is held by {card.held_by}." if card.held_by else ""
        yield Complaint(
            severity="critical",
            subject=card.uuid,
            detail=f"GPU {card.uuid} ({card.model}) is lost: {card.loss}.{held}",
            remedy="Look for XID lines in `dmesg`; drain the node and reboot it. If the card is "
            "lost again, check its seat and power, then replace it.",
        )


CHECK = Check(code="gpu_lost", question=complaints)

"""Which GPUs an allocation gets: free ones that answer, and always the same ones."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from agent.accelerators.accelerator import Accelerator
from protocol.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Request:
    """So many GPUs, of one model if it names one."""

    count: int
    model: str | None = None


def assign(
    accelerators: Iterable[Accelerator],
    request: Request,
    *,
    claims: Mapping[str, str],
    lost: Collection[str],
    demo: bool,
) -> tuple[str, ...]:
    """Return the UUIDs of the GPUs that `request` gets, lowest index first.

    claims  UUID to the allocation that holds the card
    lost    UUIDs that do not answer
    demo    whether simulated cards may be handed out; outside demo mode they never are

    A card cut into MIG slices is not handed out whole.  Refuses with `accelerators_taken` when
    there are such cards but too few of them are free, with `accelerators_absent` when this node
    never had enough.
    """
    assert request.count >= 0
    wanted = [card for card in accelerators if request.model in (None, card.model)]
    suitable = [card for card in wanted if not card.mig_mode and (demo or not card.simulated)]
    answering = [card for card in suitable if card.uuid not in lost]
    free = [card for card in answering if card.uuid not in claims]
    if len(free) < request.count:
        held = len(answering) - len(free)
        absent = len(suitable) - len(answering)
        raise _refused(request, suitable=len(suitable), free=len(free), held=held, lost=absent)
    chosen = sorted(free, key=lambda card: (card.index, card.uuid))[: request.count]
    return tuple(card.uuid for card in chosen)


def _refused(request: Request, *, suitable: int, free: int, held: int, lost: int) -> Refusal:
    kind = f"GPUs of model {request.model}" if request.model else "GPUs"
    if suitable < request.count:
        return Refusal(
            code="accelerators_absent",
            status=503,
            message=f"Needs {request.count} {kind}; this node has {suitable} to give.",
            hint="Launch on a node with more GPUs of this model, or ask for fewer.",
            field="accelerators",
        )
    return Refusal(
        code="accelerators_taken",
        status=503,
        message=f"Needs {request.count} {kind}; {free} of {suitable} are free, "
        f"{held} held by other allocations, {lost} lost.",
        hint="Release an allocation on this node, or launch on another one.",
        field="accelerators",
    )

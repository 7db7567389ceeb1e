"""What the JSON API says of an allocation."""

from collections.abc import Iterable

import msgspec

from registry.allocations.seen import SeenAllocation, SeenEvent

CURRENCY = "USD"


class EventAnswer(msgspec.Struct, frozen=True):
    """One step of the state path."""

    at_ms: int
    state: str
    fact: str


class AllocationAnswer(msgspec.Struct, frozen=True):
    """An allocation; `events` and `receipts` only when it is asked for alone.

    held_micros   time on GPUs that is not verified yet, at most
    verified_to_ms, no_contact_since_ms  None when there is nothing to say
    receipts      addresses of the receipts that prove its usage
    """

    id: str
    name: str
    state: str
    sku: str
    accelerators: int
    simulated: bool
    node: str
    site: str
    charging: bool
    hourly_micros: int
    spent_micros: int
    held_micros: int
    currency: str
    created_at_ms: int
    reason: str
    fact: str
    ready_at_ms: int | None
    release_at_ms: int | None
    ended_at_ms: int | None
    verified_to_ms: int | None
    no_contact_since_ms: int | None
    events: tuple[EventAnswer, ...] = ()
    receipts: tuple[str, ...] = ()


def allocation_answer(
    seen: SeenAllocation,
    *,
    now_ms: int,
    events: Iterable[SeenEvent] = (),
    receipts: Iterable[str] = (),
) -> AllocationAnswer:
    """Return what is said of an allocation."""
    return AllocationAnswer(
        id=seen.allocation_id,
        name=seen.name,
        state=seen.state.value,
        sku=seen.sku_id,
        accelerators=seen.accelerator_count,
        simulated=seen.simulated,
        node=seen.node_name,
        site=seen.site_name,
        charging=seen.is_charging,
        hourly_micros=seen.hourly_micros,
        spent_micros=seen.charged_micros,
        held_micros=seen.held_micros(now_ms),
        currency=CURRENCY,
        created_at_ms=seen.created_at_ms,
        reason=seen.reason,
        fact=seen.last_fact,
        ready_at_ms=seen.ready_at_ms,
        release_at_ms=seen.release_at_ms,
        ended_at_ms=seen.ended_at_ms,
        verified_to_ms=seen.verified_to_ms,
        no_contact_since_ms=seen.silent_since_ms(now_ms),
        events=tuple(EventAnswer(one.at_ms, one.state.value, one.fact) for one in events),
        receipts=tuple(receipts),
    )

"""What the JSON API says of an allocation, and of the shapes it can have."""

from collections.abc import Iterable

import msgspec

from registry.allocations.offers import Offer
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


class PlaceAnswer(msgspec.Struct, frozen=True):
    """A site with room, and how many of the shape fit there."""

    id: str
    name: str
    country: str
    free: int


class ShapeAnswer(msgspec.Struct, frozen=True):
    """A shape on sale, as a launch names it by `id`.

    hourly_micros  None while no price is in force
    unavailable    why it cannot be launched now, in words; empty when it can
    """

    id: str
    name: str
    accelerator: str
    accelerators: int
    cpu_milli: int
    memory_mib: int
    disk_mib: int
    simulated: bool
    hourly_micros: int | None
    currency: str
    free: int
    unavailable: str
    sites: tuple[PlaceAnswer, ...] = ()


def shape_answer(offer: Offer) -> ShapeAnswer:
    """Return what is said of a shape."""
    return ShapeAnswer(
        id=offer.sku_id,
        name=offer.name,
        accelerator=offer.accelerator_model,
        accelerators=offer.accelerator_count,
        cpu_milli=offer.cpu_milli,
        memory_mib=offer.memory_mib,
        disk_mib=offer.disk_mib,
        simulated=offer.simulated,
        hourly_micros=offer.hourly_micros,
        currency=CURRENCY,
        free=offer.free,
        unavailable=offer.unavailable,
        sites=tuple(
            PlaceAnswer(place.site_id, place.site, place.country, place.free)
            for place in offer.places
        ),
    )


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

"""A stretch of records taken in by the column: what a few comparisons of columns can show to be
right needs no look at each record.

Whatever these comparisons cannot show (a broken rule, a stream that begins, an allocation released
meanwhile, a lease that does not cover everything) is left to `acceptance`, record by record: it
alone refuses, and names what it refuses.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from protocol.clock import HOUR_MS
from protocol.usage import TIME_METERS
from registry.usage.bounds import time_max
from registry.usage.entries import UseEntry
from registry.usage.log_state import LeaseStanding, Opening, OwnerFact, StreamKey


@dataclass(frozen=True, slots=True)
class Case:
    """What the records of one stream under one lease are held against."""

    owner: OwnerFact
    lease: LeaseStanding
    opening: Opening | None


@dataclass(slots=True)
class Reached:
    """Where a stream stands inside a stretch that is being looked at."""

    cumulative: int
    end_ms: int
    since_ms: int


def goes_on(uses: Sequence[UseEntry], case: Case, reached: Reached, *, latest_ms: int) -> bool:
    """Whether records alike surely keep every rule after what the stream reached; it moves on."""
    counts = [use.cumulative for use in uses]
    before = [use.cumulative - use.quantity for use in uses]
    ends = [use.end_ms for use in uses]
    last_ms = max(ends)
    if (
        before[0] != reached.cumulative
        or before[1:] != counts[:-1]
        or last_ms > latest_ms
        or not is_due_whole(uses, case.owner, reached.since_ms)
    ):
        return False
    opening = case.opening
    if opening is not None:
        held = len(opening.accelerators)
        begins = [use.begin_ms for use in uses]
        if (
            begins[0] != reached.end_ms
            or begins[1:] != ends[:-1]
            or begins[0] < opening.opened_at_ms
            or any(use.quantity > (use.end_ms - use.begin_ms) * held for use in uses)
        ):
            return False
    reached.cumulative = counts[-1]
    reached.end_ms = max(reached.end_ms, last_ms)
    return True


def is_due_whole(uses: Sequence[UseEntry], owner: OwnerFact, since_ms: int) -> bool:
    """Whether all of these records of a stream that began at `since_ms` may be charged."""
    ends_ms = owner.released_at_ms
    if ends_ms is not None and max(use.end_ms for use in uses) > ends_ms:
        return False
    most = time_max(owner, since_ms) if uses[0].meter in TIME_METERS else None
    return most is None or uses[-1].cumulative <= most


def joined(uses: Sequence[UseEntry]) -> list[UseEntry]:
    """Return records alike, each following the other, as one for each hour they came in.

    A charge telescopes over records of one price, and prices change on the hour.
    """
    hours = [use.begin_ms // HOUR_MS for use in uses]
    if hours.count(hours[0]) == len(hours):
        return [_as_one(uses)]
    return [_as_one(list(part)) for _, part in groupby(uses, _hour)]


def last_places(entries: Sequence[object], keys: Iterable[StreamKey]) -> dict[StreamKey, int]:
    """Return where in `entries` each of these streams has its last record."""
    left = set(keys)
    places: dict[StreamKey, int] = {}
    for at in range(len(entries) - 1, -1, -1):
        use = entries[at]
        if isinstance(use, UseEntry):
            key = (use.allocation_id, use.meter, use.sku)
            if key in left:
                places[key] = at
                left.remove(key)
                if not left:
                    break
    return places


def _hour(use: UseEntry) -> int:
    return use.begin_ms // HOUR_MS


def _as_one(uses: Sequence[UseEntry]) -> UseEntry:
    first, last = uses[0], uses[-1]
    if first is last:
        return first
    return UseEntry(
        allocation_id=first.allocation_id,
        cumulative=last.cumulative,
        kind="use",
        lease_id=first.lease_id,
        meter=first.meter,
        project_id=first.project_id,
        quantity=last.cumulative - first.cumulative + first.quantity,
        sku=first.sku,
        begin_ms=first.begin_ms,
        end_ms=last.end_ms,
        tenant_id=first.tenant_id,
        version=1,
    )

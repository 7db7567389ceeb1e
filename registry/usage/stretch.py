"""A stretch of records taken in by the column: what a few comparisons of columns can show to be
right needs no look at each record.

Whatever these comparisons cannot show (a broken rule, a stream that begins, an allocation released
meanwhile, a lease that does not cover everything) is left to `acceptance`, record by record: it
alone refuses, and names what it refuses.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from protocol.clock import HOUR_MS
from protocol.packing import Records
from protocol.usage import TIME_METERS, Use
from registry.usage.bounds import time_max
from registry.usage.entries import is_within_an_hour
from registry.usage.log_state import LeaseStanding, Opening, OwnerFact


@dataclass(frozen=True, slots=True)
class Case:
    """What the records of one stream under one lease are held against."""

    owner: OwnerFact
    lease: LeaseStanding
    opening: Opening | None


@dataclass(slots=True)
class Reached:
    """Where a stream stands inside a stretch that is being looked at.

    place  of its last record among the entries of the batch
    """

    cumulative: int
    end_ms: int
    since_ms: int
    place: int = -1


def goes_on(records: Records, case: Case, reached: Reached, *, latest_ms: int) -> bool:
    """Whether a run surely keeps every rule after what its stream reached; that moves on with it.

    Its records go on from each other by the way they are packed.
    """
    begins, ends = records.begins, records.ends
    first_ms, last_ms = min(begins), max(ends)
    if (
        records.cumulatives[0] - records.quantities[0] != reached.cumulative
        or records.places[0] <= reached.place
        or last_ms > latest_ms
        or first_ms < begins[0]
        or not is_due_whole(
            records.run.meter,
            records.cumulatives[-1],
            last_ms,
            case.owner,
            since_ms=reached.since_ms,
        )
    ):
        return False
    opening = case.opening
    if opening is not None:
        held = len(opening.accelerators)
        if (
            begins[0] != reached.end_ms
            or begins[1:] != ends[:-1]
            or begins[0] < opening.opened_at_ms
            or any(
                quantity > (end - begin) * held
                for quantity, begin, end in zip(records.quantities, begins, ends, strict=True)
            )
        ):
            return False
    reached.cumulative = records.cumulatives[-1]
    reached.end_ms = max(reached.end_ms, last_ms)
    reached.place = records.places[-1]
    return True


def is_due_whole(
    meter: str, cumulative: int, end_ms: int, owner: OwnerFact, *, since_ms: int
) -> bool:
    """Whether all may be charged of a stream that began at `since_ms`, to where it now comes.

    cumulative, end_ms  how much it comes to, and until when
    """
    if owner.released_at_ms is not None and end_ms > owner.released_at_ms:
        return False
    most = time_max(owner, since_ms) if meter in TIME_METERS else None
    return most is None or cumulative <= most


def by_the_hour(records: Records) -> list[Use]:
    """Return a run as one record for each hour it came in.

    A charge telescopes over records of one price, and prices change on the hour.
    """
    last = len(records.places) - 1
    if is_within_an_hour(records):
        return [_as_one(records, 0, last)]
    hours = [begin_ms // HOUR_MS for begin_ms in records.begins]
    edges = [0, *(at for at in range(1, last + 1) if hours[at] != hours[at - 1]), last + 1]
    return [_as_one(records, begin, end - 1) for begin, end in pairwise(edges)]


def as_one(span: Sequence[Use]) -> Use:
    """Return records that go on from each other as one."""
    first, last = span[0], span[-1]
    before = first.cumulative - first.quantity
    return replace(last, begin_ms=first.begin_ms, quantity=last.cumulative - before)


def are_covered(spans: Iterable[tuple[Use, int, Case]]) -> bool:
    """Whether the leases that are open cover what these records come to."""
    due: dict[int, int] = {}
    for use, rated, case in spans:
        lease = case.lease
        if lease.state == "open":
            due[use.lease_id] = due.get(use.lease_id, 0) + rated
            if due[use.lease_id] > lease.amount - lease.settled:
                return False
    return True


def _as_one(records: Records, first: int, last: int) -> Use:
    run = records.run
    cumulative = records.cumulatives[last]
    before = records.cumulatives[first] - records.quantities[first]
    return Use(
        run.allocation_id,
        run.tenant_id,
        run.project_id,
        run.sku,
        run.meter,
        run.lease_id,
        records.begins[first],
        records.ends[last],
        cumulative - before,
        cumulative,
    )

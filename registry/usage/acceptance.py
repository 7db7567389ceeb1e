"""Do the entries of a batch keep the rules between entries?  One that does not refuses the batch.

Streams go on where they stood; a time meter counts only while its allocation holds accelerators,
never more than those can give; an accelerator serves one allocation at a time; whoever is billed
is the owner, under a lease of its own on this node.  Nothing here reads or writes: `Standing`
moves on in memory and is stored only if every entry passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from protocol.clock import HOUR_MS
from protocol.log_events import Adjusted, EpochBegun, Gap, KeyChanged, Session
from protocol.refusal import LogRefused, Refusal
from protocol.usage import (
    TIME_METERS,
    Closed,
    Entry,
    Heartbeat,
    LeaseClosed,
    Opened,
    Use,
)
from registry.usage.events import (
    Event,
    changed_key,
    check_epoch,
    check_session,
    take_adjusted,
    take_gap,
)
from registry.usage.log_state import (
    NO_LEASE,
    AcceleratorUse,
    LeaseStanding,
    Opening,
    OwnerFact,
    Standing,
    Stream,
    StreamKey,
)
from registry.usage.tally import Tally

AHEAD_MS_MAX = 300_000
"""How far an entry's time may lie ahead of our clock, or an opening's before its launch."""


@dataclass(slots=True)
class Accepted:
    """What changed while the entries of a batch were accepted.

    events      sessions, corrections, losses, keys and beginnings, by index
    public_key  by which the node signs from now on, if that changed
    """

    streams: set[StreamKey] = field(default_factory=set)
    openings: set[str] = field(default_factory=set)
    accelerators: set[str] = field(default_factory=set)
    leases_closed: dict[int, int] = field(default_factory=dict)
    events: list[tuple[int, Event]] = field(default_factory=list)
    public_key: bytes | None = None


@dataclass(slots=True)
class _Case:
    """Records that differ only in interval and count: one stream, lease and hour.

    spans  runs of them that follow each other without a record of the stream in between
    """

    owner: OwnerFact
    lease: LeaseStanding
    stream: Stream
    opening: Opening | None
    spans: list[list[Use]]


def accept(
    entries: Sequence[Entry],
    *,
    first_index: int,
    node_id: str,
    standing: Standing,
    tally: Tally,
    now_ms: int,
) -> Accepted:
    """Take the entries in, in their order; the first that breaks a rule is refused with its index.

    standing, tally  move on with each entry; of no use after a refusal
    """
    rules = _Rules(node_id, standing, tally, latest_ms=now_ms + AHEAD_MS_MAX)
    index = first_index
    last = first_index + len(entries) - 1
    try:
        if standing.events.epoch and not first_index and not isinstance(entries[0], EpochBegun):
            raise LogRefused("epoch_missing", "A log after a lost one must begin by naming it.")
        for index, entry in enumerate(entries, start=first_index):
            match entry:
                case Use():
                    rules.use(entry, index)
                case Opened():
                    rules.opened(entry)
                case Closed():
                    rules.closed(entry)
                case LeaseClosed():
                    rules.lease_closed(entry)
                case Heartbeat():
                    rules.timely(entry.at_ms)
                case _:
                    rules.event(entry, index, is_last=index == last)
    except Refusal as refused:
        raise LogRefused(refused.code, refused.message, index=index) from None
    rules.count()
    return rules.accepted


class _Rules:
    """The rules between entries, with what they look at.

    Records are checked one by one and counted in by the span: a charge telescopes, so the sum is
    the same.  Whatever changes how they are counted (an opening, an end, a lease closed) counts
    those before it first.
    """

    def __init__(self, node_id: str, standing: Standing, tally: Tally, *, latest_ms: int) -> None:
        self.accepted = Accepted()
        self._node_id = node_id
        self._standing = standing
        self._tally = tally
        self._latest_ms = latest_ms
        self._cases: dict[tuple[str | int, ...], _Case] = {}
        self._by_lease: dict[int, list[tuple[Use, _Case]]] = {}

    def timely(self, at_ms: int) -> None:
        if at_ms > self._latest_ms:
            raise LogRefused("entry_future", "An entry lies more than 300 s ahead of our clock.")

    def use(self, use: Use, index: int) -> None:
        begin_ms, end_ms = use.begin_ms, use.end_ms
        if end_ms > self._latest_ms:
            self.timely(end_ms)
        alike = (
            use.allocation_id, use.meter, use.sku, use.lease_id, use.tenant_id, use.project_id,
            begin_ms // HOUR_MS,
        )  # fmt: skip
        case = self._cases.get(alike)
        if case is None:
            case = self._cases[alike] = self._new_case(use, index)
        stream = case.stream
        if use.cumulative != use.quantity + stream.cumulative:
            raise LogRefused("cumulative_broken", "A cumulative count does not go on by its step.")
        if case.opening is not None:
            _check_time(use, stream, case.opening)
        if case.spans and case.spans[-1][-1].cumulative == stream.cumulative:
            case.spans[-1].append(use)
        else:
            case.spans.append([use])
        self._by_lease.setdefault(use.lease_id, []).append((use, case))
        stream.cumulative = use.cumulative
        stream.last_index = index
        if end_ms > stream.end_ms:
            stream.end_ms = end_ms

    def count(self) -> None:
        """Count in what was checked since the last time, lease by lease."""
        for records in self._by_lease.values():
            cases = {id(case): case for _, case in records}.values()
            spans = [
                (one, case) for case in cases for span in case.spans for one in _joined(span, case)
            ]
            due = sum(self._tally.rated(span) for span, _ in spans)
            lease = records[0][1].lease
            # A lease that runs out covers records in the order of the log, one by one.
            covered = due <= lease.amount - lease.settled or lease.state != "open"
            for use, case in spans if covered else records:
                self._tally.add(use, stream=case.stream, owner=case.owner, lease=case.lease)
        self._cases.clear()
        self._by_lease.clear()

    def opened(self, opened: Opened) -> None:
        self.count()
        self.timely(opened.at_ms)
        owner = self._owner(opened)
        if len(opened.accelerators) > owner.accelerator_count:
            raise LogRefused(
                "accelerator_count",
                f"An allocation of {owner.accelerator_count} accelerators opened with more.",
            )
        if opened.at_ms < owner.since_ms - AHEAD_MS_MAX:
            raise LogRefused("opened_before_launch", "An allocation opened before it was launched.")
        if opened.at_ms < self._standing.counted_to_ms:
            raise LogRefused("interval_overlap", "An earlier log of this node counted this time.")
        last = self._standing.openings.get(opened.allocation_id)
        if last is not None and (last.closed_at_ms is None or opened.at_ms < last.closed_at_ms):
            raise LogRefused("opened_twice", "An allocation opened while it was open.")
        for uuid in opened.accelerators:
            held = self._standing.accelerators.get(uuid)
            if held is not None and (held.held_by is not None or opened.at_ms < held.since_ms):
                raise LogRefused(
                    "accelerator_sold_twice", f"{uuid} opened for two allocations at once."
                )
        self._standing.openings[opened.allocation_id] = Opening(
            accelerators=opened.accelerators, opened_at_ms=opened.at_ms
        )
        self.accepted.openings.add(opened.allocation_id)
        self._move_accelerators(opened.accelerators, opened.allocation_id, opened.at_ms)

    def closed(self, closed: Closed) -> None:
        self.count()
        self.timely(closed.at_ms)
        opening = self._standing.openings.get(closed.allocation_id)
        if opening is None or opening.closed_at_ms is not None:
            raise LogRefused("closed_unopened", "An allocation closed that was not open.")
        used_until_ms = max(
            (
                stream.end_ms
                for (owner, meter, _), stream in self._standing.streams.items()
                if owner == closed.allocation_id and meter in TIME_METERS
            ),
            default=opening.opened_at_ms,
        )
        if closed.at_ms < max(used_until_ms, opening.opened_at_ms):
            raise LogRefused("closed_before_use", "An allocation closed before its last use.")
        opening.closed_at_ms = closed.at_ms
        self.accepted.openings.add(closed.allocation_id)
        self._move_accelerators(opening.accelerators, None, closed.at_ms)

    def lease_closed(self, closed: LeaseClosed) -> None:
        self.count()
        self.timely(closed.at_ms)
        lease = self._lease(closed.lease_id, closed.tenant_id)
        if lease.state == "open":
            lease.state = "closed"
            self.accepted.leases_closed[closed.lease_id] = closed.spent

    def event(self, event: Event, index: int, *, is_last: bool) -> None:
        self.count()
        self.timely(event.end_ms if isinstance(event, (Session, Gap)) else event.at_ms)
        match event:
            case Session():
                check_session(event, self._standing)
            case KeyChanged():
                key = changed_key(event, self._standing, is_last=is_last)
                self.accepted.public_key = key
            case Adjusted():
                take_adjusted(event, index, self._standing, self._tally)
                self.accepted.streams.add((event.allocation_id, event.meter, event.sku))
            case Gap():
                self.accepted.streams |= take_gap(event, self._standing)
            case EpochBegun():
                check_epoch(event, self._standing, index=index)
        self.accepted.events.append((index, event))

    def _new_case(self, use: Use, index: int) -> _Case:
        """Return the case of a record, its owner, lease, price and opening checked."""
        owner = self._owner(use)
        lease = self._lease(use.lease_id, use.tenant_id) if use.lease_id else NO_LEASE
        opening = None
        if use.meter in TIME_METERS:
            opening = self._standing.openings.get(use.allocation_id)
            if opening is None or opening.closed_at_ms is not None:
                raise LogRefused("use_unopened", "Time was counted for an allocation not open.")
        self._tally.rated(use)
        key = (use.allocation_id, use.meter, use.sku)
        stream = self._standing.streams.get(key)
        if stream is None:
            if opening is not None and use.begin_ms < opening.opened_at_ms:
                raise LogRefused("interval_before_open", "Time was counted before the opening.")
            stream = self._standing.streams[key] = Stream(
                tenant_id=use.tenant_id,
                project_id=use.project_id,
                first_index=index,
                last_index=index,
                begin_ms=use.begin_ms,
                end_ms=use.begin_ms,
            )
        self.accepted.streams.add(key)
        return _Case(owner, lease, stream, opening, [])

    def _owner(self, entry: Use | Opened) -> OwnerFact:
        owner = self._standing.owners.get(entry.allocation_id)
        if owner is None:
            raise LogRefused(
                "owner_unknown", f"{entry.allocation_id} is not of this node's to record."
            )
        if entry.tenant_id != owner.tenant_id:
            raise LogRefused("tenant_wrong", "An entry names another tenant than its owner's.")
        if entry.project_id != owner.project_id:
            raise LogRefused("project_wrong", "An entry names another project than its owner's.")
        if owner.sku is not None and entry.sku != owner.sku:
            raise LogRefused("sku_wrong", "An entry names another SKU than its allocation's.")
        return owner

    def _lease(self, lease_id: int, tenant_id: str) -> LeaseStanding:
        lease = self._standing.leases.get(lease_id)
        if lease is None:
            raise LogRefused("lease_unknown", f"There is no lease {lease_id}.")
        if lease.node_id != self._node_id:
            raise LogRefused("lease_node", f"Lease {lease_id} was granted to another node.")
        if lease.tenant_id != tenant_id:
            raise LogRefused("lease_tenant", f"Lease {lease_id} is another tenant's.")
        return lease

    def _move_accelerators(self, uuids: Sequence[str], held_by: str | None, since_ms: int) -> None:
        for uuid in uuids:
            self._standing.accelerators[uuid] = AcceleratorUse(held_by, since_ms)
            self.accepted.accelerators.add(uuid)


def _check_time(use: Use, stream: Stream, opening: Opening) -> None:
    begin_ms, opened_at_ms = use.begin_ms, opening.opened_at_ms
    if begin_ms > stream.end_ms:
        # The first record of another opening may leave out the time between the two; a stream may
        # also go on over it, with nothing counted.
        if stream.end_ms > opened_at_ms:
            raise LogRefused("interval_gap", "Time was left out between two records.")
        if begin_ms < opened_at_ms:
            raise LogRefused("interval_before_open", "Time was counted before the opening.")
    elif begin_ms < stream.end_ms:
        raise LogRefused("interval_overlap", "Time was counted twice.")
    held_ms = use.end_ms - (begin_ms if begin_ms > opened_at_ms else opened_at_ms)
    if use.quantity > max(held_ms, 0) * len(opening.accelerators):
        raise LogRefused("over_capacity", "More time was counted than there was.")


def _joined(span: list[Use], case: _Case) -> list[Use]:
    """Return a span as one record, or as it is where its allocation was released in it."""
    first, last = span[0], span[-1]
    released_at_ms = case.owner.released_at_ms
    if len(span) == 1 or (released_at_ms is not None and released_at_ms < last.end_ms):
        return span
    before = first.cumulative - first.quantity
    return [replace(last, begin_ms=first.begin_ms, quantity=last.cumulative - before)]

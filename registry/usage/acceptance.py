"""Do the entries of a batch keep the rules between entries?  One that does not refuses the batch.

Streams go on where they stood; a time meter counts only while its allocation holds accelerators,
never more than those can give; an accelerator serves one allocation at a time; whoever is billed
is the owner, under a lease of its own on this node.  Nothing here reads or writes: `Standing`
moves on in memory and is stored only if every entry passes.

The rules stand here, entry by entry.  Stretches of records that plainly keep them are counted in
without looking at each (`stretch`); the outcome is the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from protocol.clock import HOUR_MS
from protocol.log_events import Adjusted, EpochBegun, Gap, KeyChanged, Session
from protocol.packing import Run
from protocol.refusal import LogRefused, Refusal
from protocol.usage import TIME_METERS, Closed, Entry, Heartbeat, LeaseClosed, Opened, Use
from registry.usage.bounds import AHEAD_MS_MAX, check_lease_time, check_reported, check_time
from registry.usage.entries import ReadBatch, entries_between, records_between
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
from registry.usage.stretch import (
    Case,
    Reached,
    are_covered,
    as_one,
    by_the_hour,
    goes_on,
    is_due_whole,
)
from registry.usage.tally import Tally


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
class _Line:
    """Records alike within an hour, where they are looked at one by one.

    spans  runs of them that follow each other without a record of the stream in between
    """

    case: Case
    stream: Stream
    spans: list[list[Use]]


def accept(
    batch: ReadBatch,
    *,
    node_id: str,
    standing: Standing,
    tally: Tally,
    now_ms: int,
    by_column: bool = True,
) -> Accepted:
    """Take the entries in, in their order; the first that breaks a rule is refused with its index.

    standing, tally  move on with each entry; of no use after a refusal
    by_column        whether stretches may be counted in at once; the outcome is the same
    """
    rules = _Rules(batch, node_id, standing, tally, latest_ms=now_ms + AHEAD_MS_MAX)
    begins = batch.first_index == 0 and standing.events.epoch > 0
    if begins and not isinstance(batch.others.get(0), EpochBegun):
        raise LogRefused(
            "epoch_missing", "A log after a lost one must begin by naming it.", index=0
        )
    begin = 0
    for at, entry in batch.others.items():
        if not isinstance(entry, Heartbeat):
            rules.stretch(begin, at, by_column=by_column)
            rules.one_by_one(at, at + 1)
            begin = at + 1
    rules.stretch(begin, len(batch.raw), by_column=by_column)
    return rules.accepted


class _Rules:
    """The rules between entries, with what they look at.

    Records are checked one by one and counted in by the span: a charge telescopes, so the sum is
    the same.
    """

    def __init__(
        self, batch: ReadBatch, node_id: str, standing: Standing, tally: Tally, *, latest_ms: int
    ) -> None:
        self.accepted = Accepted()
        self._batch = batch
        self._node_id = node_id
        self._standing = standing
        self._tally = tally
        self._latest_ms = latest_ms
        self._lines: dict[tuple[str | int, ...], _Line] = {}
        self._by_lease: dict[int, list[tuple[Use, _Line]]] = {}

    def stretch(self, begin: int, end: int, *, by_column: bool) -> None:
        """Take entries [begin, end) in, which leave openings and leases as they are."""
        if begin < end and not (by_column and self._counted_at_once(begin, end)):
            self.one_by_one(begin, end)

    def one_by_one(self, begin: int, end: int) -> None:
        """Hold each of entries [begin, end) against the rules, and count in what was checked."""
        index = first = self._batch.first_index + begin
        try:
            for index, entry in enumerate(entries_between(self._batch, begin, end), first):
                self._one(entry, index)
        except Refusal as refused:
            raise LogRefused(refused.code, refused.message, index=index) from None
        self._count()

    def _counted_at_once(self, begin: int, end: int) -> bool:
        """Count a stretch of records in by the column; False, and nothing done, where only a look
        at each entry tells whether they keep the rules."""
        batch = self._batch
        reached: dict[StreamKey, Reached] = {}
        spans: list[tuple[Use, int, Case]] = []
        try:
            for at, entry in batch.others.items():
                if begin <= at < end and isinstance(entry, Heartbeat):
                    self._timely(entry.at_ms)
            for records in records_between(batch, begin, end):
                key = _key(records.run)
                stream = self._standing.streams.get(key)
                if stream is None:
                    return False
                case = self._case(records.run)
                now = reached.setdefault(
                    key, Reached(stream.cumulative, stream.end_ms, stream.begin_ms)
                )
                if not goes_on(records, case, now, latest_ms=self._latest_ms):
                    return False
                spans += [(one, self._tally.rated(one), case) for one in by_the_hour(records)]
        except Refusal:
            return False
        if not are_covered(spans):
            return False
        for use, rated, case in spans:
            stream = self._standing.streams[_key(use)]
            self._tally.add(use, rated, stream=stream, owner=case.owner, lease=case.lease)
        for key, now in reached.items():
            stream = self._standing.streams[key]
            stream.cumulative, stream.end_ms = now.cumulative, now.end_ms
            stream.last_index = batch.first_index + now.place
        self.accepted.streams.update(reached)
        return True

    def _one(self, entry: Entry, index: int) -> None:
        match entry:
            case Use():
                self._use(entry, index)
            case Opened():
                self._opened(entry)
            case Closed():
                self._closed(entry)
            case LeaseClosed():
                self._lease_closed(entry)
            case Heartbeat():
                self._timely(entry.at_ms)
            case Session() | KeyChanged() | Adjusted() | Gap() | EpochBegun():
                self._event(entry, index)

    def _timely(self, at_ms: int) -> None:
        if at_ms > self._latest_ms:
            raise LogRefused("entry_future", "An entry lies more than 300 s ahead of our clock.")

    def _use(self, use: Use, index: int) -> None:
        begin_ms, end_ms = use.begin_ms, use.end_ms
        self._timely(end_ms)
        alike = (
            *(use.allocation_id, use.meter, use.sku, use.lease_id, use.tenant_id, use.project_id),
            begin_ms // HOUR_MS,
        )
        line = self._lines.get(alike)
        if line is None:
            line = self._lines[alike] = self._new_line(use, index)
        stream = line.stream
        if use.cumulative != use.quantity + stream.cumulative:
            raise LogRefused("cumulative_broken", "A cumulative count does not go on by its step.")
        if line.case.opening is not None:
            check_time(use, stream, line.case.opening)
        if line.spans and line.spans[-1][-1].cumulative == stream.cumulative:
            line.spans[-1].append(use)
        else:
            line.spans.append([use])
        self._by_lease.setdefault(use.lease_id, []).append((use, line))
        stream.cumulative = use.cumulative
        stream.last_index = index
        stream.end_ms = max(stream.end_ms, end_ms)

    def _count(self) -> None:
        """Count in what was checked since the last time, lease by lease."""
        for records in self._by_lease.values():
            lines = {id(line): line for _, line in records}.values()
            spans = [
                (one, line) for line in lines for span in line.spans for one in _parts(span, line)
            ]
            rated = [(use, self._tally.rated(use), line.case) for use, line in spans]
            # A lease that runs out covers records in the order of the log, one by one.
            for use, line in spans if are_covered(rated) else records:
                self._tally.add(
                    use,
                    self._tally.rated(use),
                    stream=line.stream,
                    owner=line.case.owner,
                    lease=line.case.lease,
                )
        self._lines.clear()
        self._by_lease.clear()

    def _opened(self, opened: Opened) -> None:
        self._timely(opened.at_ms)
        owner = self._owner(opened)
        if len(opened.accelerators) > owner.accelerator_count:
            raise LogRefused(
                "accelerator_count",
                f"An allocation of {owner.accelerator_count} accelerators opened with more.",
            )
        check_reported(opened.accelerators, owner)
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

    def _closed(self, closed: Closed) -> None:
        self._timely(closed.at_ms)
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

    def _lease_closed(self, closed: LeaseClosed) -> None:
        self._timely(closed.at_ms)
        lease = self._lease(closed.lease_id, closed.tenant_id)
        if lease.state == "open":
            lease.state = "closed"
            self.accepted.leases_closed[closed.lease_id] = closed.spent

    def _event(self, event: Event, index: int) -> None:
        self._timely(event.end_ms if isinstance(event, Session | Gap) else event.at_ms)
        match event:
            case Session():
                check_session(event, self._standing)
            case KeyChanged():
                last = self._batch.first_index + len(self._batch.raw) - 1
                key = changed_key(event, self._standing, is_last=index == last)
                self.accepted.public_key = key
            case Adjusted():
                take_adjusted(event, index, self._standing, self._tally)
                self.accepted.streams.add((event.allocation_id, event.meter, event.sku))
            case Gap():
                self.accepted.streams |= take_gap(event, self._standing)
            case EpochBegun():
                check_epoch(event, self._standing, index=index)
        self.accepted.events.append((index, event))

    def _case(self, use: Use | Run) -> Case:
        """Return what a record is held against, its owner, lease and opening checked."""
        owner = self._owner(use)
        lease = self._lease(use.lease_id, use.tenant_id) if use.lease_id else NO_LEASE
        check_lease_time(use, lease)
        opening = None
        if use.meter in TIME_METERS:
            opening = self._standing.openings.get(use.allocation_id)
            if opening is None or opening.closed_at_ms is not None:
                raise LogRefused("use_unopened", "Time was counted for an allocation not open.")
        return Case(owner, lease, opening)

    def _new_line(self, use: Use, index: int) -> _Line:
        """Return the line of a record; the stream begins with it if it is the first."""
        case = self._case(use)
        self._tally.rated(use)
        key = _key(use)
        stream = self._standing.streams.get(key)
        if stream is None:
            if case.opening is not None and use.begin_ms < case.opening.opened_at_ms:
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
        return _Line(case, stream, [])

    def _owner(self, entry: Use | Run | Opened) -> OwnerFact:
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


def _parts(span: list[Use], line: _Line) -> list[Use]:
    """Return a span as one record, or as it is where only a part of it may be charged."""
    last = span[-1]
    end_ms = max(use.end_ms for use in span)
    since_ms = line.stream.begin_ms
    if len(span) == 1 or not is_due_whole(
        last.meter, last.cumulative, end_ms, line.case.owner, since_ms=since_ms
    ):
        return span
    return [as_one(span)]


def _key(use: Use | Run) -> StreamKey:
    return use.allocation_id, use.meter, use.sku

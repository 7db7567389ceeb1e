"""Do the entries of a batch keep the rules between entries?  One that does not refuses the batch.

Streams go on where they stood; a time meter counts only while its allocation holds accelerators,
never more than those can give; an accelerator serves one allocation at a time; whoever is billed
is the owner, under a lease of its own on this node.  Nothing here reads or writes: `Standing`
moves on in memory and is stored only if every entry passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

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
from registry.usage.log_state import (
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
"""How far an entry's time may lie ahead of our clock."""

NO_LEASE = LeaseStanding(tenant_id="", node_id="", amount=0, settled=0, state="open")
"""What lease id 0 stands for: nothing was ever granted for it, so nothing is charged."""


@dataclass(slots=True)
class Accepted:
    """What changed while the entries of a batch were accepted."""

    streams: set[StreamKey] = field(default_factory=set)
    openings: set[str] = field(default_factory=set)
    accelerators: set[str] = field(default_factory=set)
    leases_closed: dict[int, int] = field(default_factory=dict)


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
    for index, entry in enumerate(entries, start=first_index):
        try:
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
        except LogRefused as refused:
            raise LogRefused(refused.code, refused.message, index=index) from None
        except Refusal as refused:
            raise LogRefused(refused.code, refused.message, index=index) from None
    return rules.accepted


class _Rules:
    """The rules between entries, with what they look at."""

    def __init__(self, node_id: str, standing: Standing, tally: Tally, *, latest_ms: int) -> None:
        self.accepted = Accepted()
        self._node_id = node_id
        self._standing = standing
        self._tally = tally
        self._latest_ms = latest_ms

    def timely(self, at_ms: int) -> None:
        if at_ms > self._latest_ms:
            raise LogRefused("entry_future", "An entry lies more than 300 s ahead of our clock.")

    def use(self, use: Use, index: int) -> None:
        self.timely(use.end_ms)
        owner = self._owner(use)
        lease = self._lease(use.lease_id, use.tenant_id) if use.lease_id else NO_LEASE
        key = (use.allocation_id, use.meter, use.sku)
        stream = self._standing.streams.get(key)
        if use.cumulative != use.quantity + (stream.cumulative if stream else 0):
            raise LogRefused("cumulative_broken", "A cumulative count does not go on by its step.")
        if use.meter in TIME_METERS:
            self._check_time(use, stream)
        if stream is None:
            stream = Stream(
                tenant_id=use.tenant_id,
                project_id=use.project_id,
                first_index=index,
                last_index=index,
                begin_ms=use.begin_ms,
                end_ms=use.end_ms,
            )
            self._standing.streams[key] = stream
        self._tally.add(use, stream=stream, owner=owner, lease=lease)
        stream.cumulative = use.cumulative
        stream.last_index = index
        stream.end_ms = max(stream.end_ms, use.end_ms)
        self.accepted.streams.add(key)

    def opened(self, opened: Opened) -> None:
        self.timely(opened.at_ms)
        owner = self._owner(opened)
        if len(opened.accelerators) > owner.accelerator_count:
            raise LogRefused(
                "accelerator_count",
                f"An allocation of {owner.accelerator_count} accelerators opened with more.",
            )
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
        self.timely(closed.at_ms)
        lease = self._lease(closed.lease_id, closed.tenant_id)
        if lease.state == "open":
            lease.state = "closed"
            self.accepted.leases_closed[closed.lease_id] = closed.spent

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

    def _check_time(self, use: Use, stream: Stream | None) -> None:
        opening = self._standing.openings.get(use.allocation_id)
        if opening is None or opening.closed_at_ms is not None:
            raise LogRefused("use_unopened", "Time was counted for an allocation not open.")
        opened_at_ms = opening.opened_at_ms
        if stream is None or (use.begin_ms > stream.end_ms and stream.end_ms <= opened_at_ms):
            # The first record of an opening; a stream may also go on, with nothing counted, over
            # the time between two openings.
            if use.begin_ms < opened_at_ms:
                raise LogRefused("interval_before_open", "Time was counted before the opening.")
        elif use.begin_ms > stream.end_ms:
            raise LogRefused("interval_gap", "Time was left out between two records.")
        elif use.begin_ms < stream.end_ms:
            raise LogRefused("interval_overlap", "Time was counted twice.")
        held_ms = max(use.end_ms - max(use.begin_ms, opened_at_ms), 0)
        if use.quantity > held_ms * len(opening.accelerators):
            raise LogRefused("over_capacity", "More time was counted than there was.")

    def _move_accelerators(self, uuids: Sequence[str], held_by: str | None, since_ms: int) -> None:
        for uuid in uuids:
            self._standing.accelerators[uuid] = AcceleratorUse(held_by, since_ms)
            self.accepted.accelerators.add(uuid)

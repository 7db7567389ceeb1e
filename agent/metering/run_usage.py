"""A running allocation as usage records: opened when ready, used while seen, closed when gone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.metering.intervals import Gap, Interval, gap_after, intervals
from agent.usage_log.stream import StreamEnd, StreamKey
from protocol import log_events
from protocol.clock import next_hour
from protocol.price import Price, charge, price_at, worst_case
from protocol.usage import GPU_MS, Closed, Entry, Opened, Use

DISK_FULL = "disk_full"


@dataclass(frozen=True, slots=True)
class MeteredRun:
    """What metering reads of a run: it is ready, and its usage is not closed yet.

    metered_to_ms  None until its opening was written
    seen_at_ms     when the engine last had it running
    gone           whether its container has ended
    reason         why it ended, as a code
    """

    allocation_id: str
    tenant_id: str
    project_id: str
    sku: str
    accelerators: tuple[str, ...]
    container_id: str
    boot_id: str
    ready_at_ms: int
    seen_at_ms: int | None
    released_at_ms: int | None
    finished_at_ms: int | None
    metered_to_ms: int | None
    gone: bool
    reason: str

    @property
    def stream(self) -> StreamKey:
        """Return the stream of its GPUs' time."""
        return StreamKey(owner=self.allocation_id, meter=GPU_MS, sku=self.sku)


@dataclass(frozen=True, slots=True)
class RunUsage:
    """What one tick makes of a run.

    entries        in their order
    cost           of the records, in micros
    metered_to_ms  how far it is metered then
    closed         whether nothing more comes
    """

    entries: tuple[Entry, ...]
    cost: int
    metered_to_ms: int
    closed: bool


def charged_until_ms(run: MeteredRun, now_ms: int) -> int:
    """Return how far the run may be metered now.

    Charging ends with the request to release it or with the end of its container; while neither is
    known, it goes as far as the container was seen running, never into what is assumed.
    """
    ends = [at_ms for at_ms in (run.released_at_ms, run.finished_at_ms) if at_ms is not None]
    seen_ms = run.seen_at_ms if run.seen_at_ms is not None else run.ready_at_ms
    return min(min(ends, default=seen_ms), now_ms)


def run_usage(
    run: MeteredRun,
    *,
    now_ms: int,
    gap: Gap,
    stream: StreamEnd | None,
    lease_id: int,
    prices: Sequence[Price],
    counted_from_ms: int = 0,
    lost: bool = False,
) -> RunUsage:
    """Return the entries of one run since it was last metered.

    gap       time in which this node slept
    stream    where its stream ended: another attempt of the same allocation may have been in it
    lease_id  the lease that backs it
    counted_from_ms  before it nothing counts: an earlier log of this node did
    lost      whether what was used since then could not be written down, so that nothing is billed
    """
    entries: list[Entry] = []
    begin_ms = run.metered_to_ms
    if begin_ms is None:
        ended_ms = stream.last_end_ms if stream else 0
        begin_ms = min(max(run.ready_at_ms, ended_ms, counted_from_ms), now_ms)
        entries.append(_opened(run, at_ms=begin_ms))
    until_ms = max(begin_ms, charged_until_ms(run, now_ms))
    pieces = intervals(begin_ms, until_ms, gap)
    if run.released_at_ms is None and run.finished_at_ms is None and not run.gone:
        unseen = gap_after(gap, until_ms)
        slept_until_ms = max(until_ms, min(unseen.end_ms, now_ms))
        pieces += intervals(until_ms, slept_until_ms, unseen)
        until_ms = slept_until_ms
    if lost and run.accelerators and begin_ms < until_ms:
        entries.append(log_events.Gap(run.allocation_id, begin_ms, until_ms, DISK_FULL))
    if lost or not run.accelerators:
        pieces = []
    total = stream.cumulative if stream else 0
    cost = 0
    for piece in pieces:
        used = (piece.end_ms - piece.begin_ms) * len(run.accelerators) if piece.observed else 0
        cost += _cost(run, prices, piece.begin_ms, total, total + used)
        total += used
        entries.append(_use(run, piece, lease_id=lease_id, quantity=used, cumulative=total))
    if run.gone:
        # Nothing is stated about the future, whatever the engine's clock says.
        ended_ms = min(max(until_ms, run.finished_at_ms or 0), max(until_ms, now_ms))
        entries.append(Closed(allocation_id=run.allocation_id, at_ms=ended_ms, reason=run.reason))
    return RunUsage(entries=tuple(entries), cost=cost, metered_to_ms=until_ms, closed=run.gone)


def next_worst(run: MeteredRun, prices: Iterable[Price], *, from_ms: int, until_ms: int) -> int:
    """Return the most that the run can cost in [from_ms, until_ms), in micros."""
    if run.released_at_ms is not None or run.finished_at_ms is not None:
        return 0
    prices = list(prices)
    quantity = max(0, until_ms - from_ms) * len(run.accelerators)
    moments = [from_ms]
    while next_hour(moments[-1]) < until_ms:
        moments.append(next_hour(moments[-1]))
    found = [price_at(prices, sku=run.sku, meter=GPU_MS, at_ms=at_ms) for at_ms in moments]
    return max((worst_case(price, quantity) for price in found if price), default=0)


def _cost(run: MeteredRun, prices: Sequence[Price], at_ms: int, before: int, after: int) -> int:
    price = price_at(prices, sku=run.sku, meter=GPU_MS, at_ms=at_ms)
    return charge(price, before=before, after=after) if price is not None else 0


def _opened(run: MeteredRun, *, at_ms: int) -> Opened:
    return Opened(
        allocation_id=run.allocation_id,
        tenant_id=run.tenant_id,
        project_id=run.project_id,
        sku=run.sku,
        at_ms=at_ms,
        boot_id=run.boot_id,
        container_id=run.container_id,
        accelerators=run.accelerators,
    )


def _use(run: MeteredRun, piece: Interval, *, lease_id: int, quantity: int, cumulative: int) -> Use:
    return Use(
        allocation_id=run.allocation_id,
        tenant_id=run.tenant_id,
        project_id=run.project_id,
        sku=run.sku,
        meter=GPU_MS,
        lease_id=lease_id,
        begin_ms=piece.begin_ms,
        end_ms=piece.end_ms,
        quantity=quantity,
        cumulative=cumulative,
    )

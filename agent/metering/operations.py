"""One tick: everything used since the last becomes records, and its cost leaves the leases.

All of it is one unit of work: a record, the spending it stands for and the mark that it was made
are kept together or not at all, so that no crash bills twice or forgets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.leases.operations import (
    close_ended,
    find_backing,
    find_newest_lease,
    roll_over,
    settle,
)
from agent.metering import queries
from agent.metering.call_usage import call_streams, call_usage
from agent.metering.intervals import Gap, gap_since
from agent.metering.run_usage import MeteredRun, next_worst, run_usage
from agent.metering.timekeeper import TimeState, begun
from agent.store.database import Db
from agent.usage_log.operations import append
from agent.usage_log.queries import find_log, list_streams
from protocol.price import Price
from protocol.usage import Heartbeat

CALLS_MAX = 20_000
"""Finished calls taken into one unit of work."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The moment of a tick.

    running_ms   the clock that does not run while the machine is suspended
    period_ms    how long after this one the next tick comes at the latest
    heartbeat    whether a sign of life is due
    skew_ms      this node's time minus the registry's, as far as known
    """

    time: TimeState
    now_ms: int
    boot_ms: int
    running_ms: int
    period_ms: int
    heartbeat: bool
    skew_ms: int


@dataclass(frozen=True, slots=True)
class Ticked:
    """What a tick wrote.

    uncovered  allocations that no lease covers any more
    """

    entries: int
    runs: int
    calls: int
    leases_closed: int
    uncovered: tuple[str, ...]


def begin_time(db: Db, *, boot_id: str, boot_ms: int, wall_ms: int) -> tuple[TimeState, int]:
    """Return the time a starting agent goes by, and the latest one it must not fall behind."""
    kept = queries.find_time(db)
    last, floor_ms = (kept[0], kept[1]) if kept else (None, 0)
    state = begun(boot_id=boot_id, boot_ms=boot_ms, wall_ms=wall_ms, last=last, floor_ms=floor_ms)
    return state, floor_ms


def tick(db: Db, moment: Tick, prices: Sequence[Price]) -> Ticked:
    """Write down what was used, spend it, set the next stretch aside, close what has ended.

    Not before the time is trusted: a record dated by a dead clock could never be taken back.  No
    lease is either, until then, so nothing new runs meanwhile.
    """
    if find_log(db) is None or not moment.time.trusted:
        return Ticked(entries=0, runs=0, calls=0, leases_closed=0, uncovered=())
    gap = _gap(db, moment)
    written = 0
    if moment.heartbeat:
        beat = Heartbeat(at_ms=moment.now_ms, boottime_ms=moment.boot_ms, skew_ms=moment.skew_ms)
        append(db, [beat])
        written += 1
    calls, call_entries = _record_calls(db, moment, prices)
    runs = queries.list_metered_runs(db)
    uncovered = []
    for run in runs:
        entries, covered = _record_run(db, run, moment, gap, prices)
        written += entries
        if not covered:
            uncovered.append(run.allocation_id)
    leases_closed = 0
    if not queries.has_unrecorded_calls(db):
        leases_closed = close_ended(
            db, boot_id=moment.time.boot_id, boot_ms=moment.boot_ms, now_ms=moment.now_ms
        )
    queries.put_time(
        db,
        moment.time,
        floor_ms=moment.now_ms,
        tick_boot_ms=moment.boot_ms,
        tick_running_ms=moment.running_ms,
    )
    return Ticked(
        entries=written + call_entries + leases_closed,
        runs=len(runs),
        calls=calls,
        leases_closed=leases_closed,
        uncovered=tuple(uncovered),
    )


def _gap(db: Db, moment: Tick) -> Gap:
    """Return the time since the last tick in which this machine slept."""
    kept = queries.find_time(db)
    if kept is None or kept[0].boot_id != moment.time.boot_id:
        return Gap(moment.now_ms, moment.now_ms)
    _, last_ms, last_boot_ms, last_running_ms = kept
    return gap_since(
        last_ms,
        boot_elapsed_ms=moment.boot_ms - last_boot_ms,
        running_elapsed_ms=moment.running_ms - last_running_ms,
    )


def _record_calls(db: Db, moment: Tick, prices: Sequence[Price]) -> tuple[int, int]:
    """Return how many calls went into how many records; their leases were settled as they ended."""
    calls = queries.list_finished_calls(db, before_ms=moment.now_ms, limit=CALLS_MAX)
    streams = list_streams(db, call_streams(calls))
    uses = call_usage(calls, streams, prices, now_ms=moment.now_ms)
    append(db, uses)
    moved = queries.move_recorded(db, [call.call_id for call in calls])
    assert moved == len(calls), "a call was recorded by somebody else"
    return len(calls), len(uses)


def _record_run(
    db: Db, run: MeteredRun, moment: Tick, gap: Gap, prices: Sequence[Price]
) -> tuple[int, bool]:
    """Return how many entries a run gave, and whether a lease covers its next stretch."""
    holder = run.allocation_id
    backing = find_backing(db, holder)
    if backing is None and not run.gone:
        _cover(db, run, moment, prices, from_ms=run.ready_at_ms, actual=0)
        backing = find_backing(db, holder)
    lease_id = backing if backing is not None else find_newest_lease(db, run.tenant_id)
    if lease_id is None:
        return 0, _left_out(db, run)
    usage = run_usage(
        run,
        now_ms=moment.now_ms,
        gap=gap,
        stream=list_streams(db, [run.stream]).get(run.stream),
        lease_id=lease_id,
        prices=prices,
    )
    append(db, usage.entries)
    moved = queries.move_metered(db, run, metered_to_ms=usage.metered_to_ms, closed=usage.closed)
    assert moved, f"{holder} moved on within the unit of work"
    if usage.closed:
        if backing is not None:
            settle(db, holder, actual=usage.cost)
        return len(usage.entries), True
    covered = _cover(db, run, moment, prices, from_ms=usage.metered_to_ms, actual=usage.cost)
    return len(usage.entries), covered


def _left_out(db: Db, run: MeteredRun) -> bool:
    """Leave a run unbilled whose tenant never had a lease here; return whether it has ended.

    The registry takes no record without a lease, and one such would hold up the whole log.
    """
    if run.gone:
        ended_ms = run.finished_at_ms or run.ready_at_ms
        queries.move_metered(db, run, metered_to_ms=ended_ms, closed=True)
    return run.gone


def _cover(
    db: Db,
    run: MeteredRun,
    moment: Tick,
    prices: Sequence[Price],
    *,
    from_ms: int,
    actual: int,
) -> bool:
    """Spend what the run has cost and set the stretch up to the tick after next aside.

    Two periods, because a tick may come late, and the one after it must be covered already.
    """
    until_ms = moment.now_ms + 2 * moment.period_ms
    return roll_over(
        db,
        run.allocation_id,
        tenant_id=run.tenant_id,
        actual=actual,
        worst=next_worst(run, prices, from_ms=from_ms, until_ms=until_ms),
        boot_id=moment.time.boot_id,
        boot_ms=moment.boot_ms,
    )

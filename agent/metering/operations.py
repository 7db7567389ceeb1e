"""One tick: everything used since the last becomes records, and its cost leaves the leases.

All of it is one unit of work: a record, the spending it stands for and the mark that it was made
are kept together or not at all, so that no crash bills twice or forgets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.leases.operations import close_ended, find_newest_lease, open_till, store_till
from agent.leases.till import Till
from agent.metering import queries
from agent.metering.call_usage import call_row, call_usage
from agent.metering.intervals import Gap, gap_since
from agent.metering.queries import Metered
from agent.metering.run_usage import MeteredRun, next_worst, run_usage
from agent.metering.timekeeper import TimeState, begun
from agent.store.database import Db
from agent.usage_log.log_state import is_restoring
from agent.usage_log.operations import append, append_to
from agent.usage_log.queries import find_log, list_entries, list_streams
from agent.usage_log.restoring import Replayed, left_open
from agent.usage_log.stream import StreamEnd, StreamKey
from protocol.call_row import CallProof, call_proof
from protocol.price import Price
from protocol.refusal import Refusal
from protocol.usage import Entry, Heartbeat

CALLS_MAX = 20_000
"""Finished calls taken into one unit of work."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The moment of a tick.

    running_ms   the clock that does not run while the machine is suspended
    period_ms    how long after this one the next tick comes at the latest
    heartbeat    whether a sign of life is due
    skew_ms      this node's time minus the registry's, as far as known
    lost         whether ticks failed before this one, so that what was used since is a gap
    """

    time: TimeState
    now_ms: int
    boot_ms: int
    running_ms: int
    period_ms: int
    heartbeat: bool
    skew_ms: int
    lost: bool = False


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
    log = find_log(db)
    if log is None or not moment.time.trusted or is_restoring(log):
        return Ticked(entries=0, runs=0, calls=0, leases_closed=0, uncovered=())
    kept = queries.find_time(db)
    calls = queries.list_finished_calls(db, before_ms=moment.now_ms, limit=CALLS_MAX)
    runs = queries.list_metered_runs(db)
    owners = {call.key_id for call in calls} | {run.allocation_id for run in runs}
    streams = list_streams(db, owners)
    beat = Heartbeat(at_ms=moment.now_ms, boottime_ms=moment.boot_ms, skew_ms=moment.skew_ms)
    entries: list[Entry] = [beat] if moment.heartbeat else []
    counted = call_usage(calls, streams, prices, now_ms=moment.now_ms)
    first = log.frontier.size + len(entries)
    entries += counted.uses
    places = {call.call_id: counted.bound.get(call.call_id) for call in calls}
    moved = queries.move_recorded(
        db, {name: None if at is None else first + at for name, at in places.items()}
    )
    assert moved == len(calls), "a call was recorded by somebody else"
    used, uncovered = _record_runs(
        db, runs, moment, _gap(kept, moment), prices, streams, counted_from_ms=log.counted_from_ms
    )
    closed = []
    if not queries.has_unrecorded_calls(db):
        closed = close_ended(
            db, boot_id=moment.time.boot_id, boot_ms=moment.boot_ms, now_ms=moment.now_ms
        )
    append_to(db, log, streams, [*entries, *used, *closed])
    queries.put_time(
        db,
        moment.time,
        floor_ms=moment.now_ms,
        tick_boot_ms=moment.boot_ms,
        tick_running_ms=moment.running_ms,
    )
    return Ticked(
        entries=len(entries) + len(used) + len(closed),
        runs=len(runs),
        calls=len(calls),
        leases_closed=len(closed),
        uncovered=uncovered,
    )


def prove_call(db: Db, call_id: str) -> CallProof:
    """Return the proof that a call stands in the usage log, from the rows of all that its record
    counts; refuse a call that is not known here any more, or that no record counts."""
    index = queries.find_call_entry(db, call_id)
    if index is None:
        raise Refusal(
            code="call_not_recorded",
            status=404,
            message="No record of this node's usage log counts such a call.",
            hint="A call is counted at the tick after its end, and its row kept for 30 days.",
        )
    rows = [call_row(call) for call in queries.list_calls_of_entry(db, index)]
    (entry,) = list_entries(db, index, index + 1)
    return call_proof(rows, call_id, entry=entry, entry_index=index)


def go_on_after_restore(db: Db, replayed: Replayed) -> None:
    """Have runs and calls stand where the log that was pulled back says, and close what nothing
    here goes on with.

    A call that ended before the log's last word may stand in it; it is not written down again.
    """
    runs = queries.list_metered_runs(db)
    running = {run.allocation_id: run.container_id for run in runs}
    metered = []
    for run in runs:
        opened = replayed.opened.get(run.allocation_id)
        if opened is not None and opened.container_id == run.container_id:
            closed = run.allocation_id in replayed.closed
            to_ms = replayed.metered_to_ms(run.allocation_id)
            metered.append(Metered(run, to_ms, closed=closed))
    queries.move_metered(db, metered)
    queries.forget_calls_before(db, replayed.last_ms)
    append(db, left_open(replayed, running))


def _gap(kept: tuple[TimeState, int, int, int] | None, moment: Tick) -> Gap:
    """Return the time since the last tick in which this machine slept."""
    if kept is None or kept[0].boot_id != moment.time.boot_id:
        return Gap(moment.now_ms, moment.now_ms)
    _, last_ms, last_boot_ms, last_running_ms = kept
    return gap_since(
        last_ms,
        boot_elapsed_ms=moment.boot_ms - last_boot_ms,
        running_elapsed_ms=moment.running_ms - last_running_ms,
    )


def _record_runs(
    db: Db,
    runs: Sequence[MeteredRun],
    moment: Tick,
    gap: Gap,
    prices: Sequence[Price],
    streams: Mapping[StreamKey, StreamEnd],
    *,
    counted_from_ms: int,
) -> tuple[list[Entry], tuple[str, ...]]:
    """Return the entries of all runs, and which allocations no lease covers any more."""
    till = open_till(
        db, [run.allocation_id for run in runs], boot_id=moment.time.boot_id, boot_ms=moment.boot_ms
    )
    entries: list[Entry] = []
    uncovered, metered = [], []
    for run in runs:
        lease_id = _backing(db, till, run, moment, prices)
        if lease_id is None:
            if not run.gone:
                uncovered.append(run.allocation_id)
                continue
            # The registry takes no record without a lease, and one would hold up the whole log:
            # what no lease ever backed here stays unbilled.
            metered.append(Metered(run, run.finished_at_ms or run.ready_at_ms, closed=True))
            continue
        usage = run_usage(
            run,
            now_ms=moment.now_ms,
            gap=gap,
            stream=streams.get(run.stream),
            lease_id=lease_id,
            prices=prices,
            counted_from_ms=counted_from_ms,
            lost=moment.lost,
        )
        entries += usage.entries
        metered.append(Metered(run, usage.metered_to_ms, closed=usage.closed))
        if usage.closed:
            till.settle(run.allocation_id, actual=usage.cost)
        elif not _cover(till, run, moment, prices, usage.metered_to_ms, actual=usage.cost):
            uncovered.append(run.allocation_id)
    moved = queries.move_metered(db, metered)
    assert moved == len(metered), "a run moved on within the unit of work"
    store_till(db, till)
    return entries, tuple(uncovered)


def _backing(
    db: Db, till: Till, run: MeteredRun, moment: Tick, prices: Sequence[Price]
) -> int | None:
    """Return the lease of a run's next records, asked for now if it has none; None if there never
    was one."""
    holder = run.allocation_id
    if till.backing(holder) is None and not run.gone:
        _cover(till, run, moment, prices, run.ready_at_ms, actual=0)
    backing = till.backing(holder)
    return backing if backing is not None else find_newest_lease(db, run.tenant_id)


def _cover(
    till: Till, run: MeteredRun, moment: Tick, prices: Sequence[Price], from_ms: int, *, actual: int
) -> bool:
    """Spend what the run has cost and set the stretch up to the tick after next aside.

    Two periods, because a tick may come late, and the one after it must be covered already.
    """
    until_ms = moment.now_ms + 2 * moment.period_ms
    return till.roll_over(
        run.allocation_id,
        tenant_id=run.tenant_id,
        actual=actual,
        worst=next_worst(run, prices, from_ms=from_ms, until_ms=until_ms),
    )

"""SQL of metering: runs and calls as far as they are metered, and where the node's time stands."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.metering.call_usage import FinishedCall
from agent.metering.run_usage import MeteredRun
from agent.metering.timekeeper import TimeState
from agent.store.database import Db

RUNS_MAX = 1_024


@dataclass(frozen=True, slots=True)
class Metered:
    """A run as it was read, how far it is metered now, and whether nothing more comes."""

    run: MeteredRun
    to_ms: int
    closed: bool


def list_metered_runs(db: Db) -> list[MeteredRun]:
    """Return the runs that the registry asked for, were ready, and are not closed."""
    rows = db.rows(
        """
        SELECT allocation_id, tenant_id, project_id, sku, accelerators, container_id, boot_id,
               ready_at_ms, seen_at_ms, released_at_ms, finished_at_ms, metered_to_ms, phase,
               coalesce(failure, stop_reason, 'ended') AS reason
        FROM run WHERE known = 1 AND closed = 0 AND ready_at_ms IS NOT NULL
        ORDER BY allocation_id LIMIT :max
        """,
        {"max": RUNS_MAX},
    )
    return [_run(row) for row in rows]


def move_metered(db: Db, metered: Iterable[Metered]) -> int:
    """Note how far runs are metered; return how many had not moved on meanwhile."""
    return db.write_many(
        """
        UPDATE run SET metered_to_ms = :metered_to_ms, closed = :closed
        WHERE allocation_id = :allocation_id AND closed = 0 AND ready_at_ms = :ready_at_ms
            AND metered_to_ms IS :before_ms
        """,
        [
            {
                "allocation_id": one.run.allocation_id,
                "ready_at_ms": one.run.ready_at_ms,
                "before_ms": one.run.metered_to_ms,
                "metered_to_ms": one.to_ms,
                "closed": int(one.closed),
            }
            for one in metered
        ],
    )


def list_finished_calls(db: Db, *, before_ms: int, limit: int) -> list[FinishedCall]:
    """Return calls that ended before `before_ms` and stand in no record yet, oldest first."""
    rows = db.rows(
        """
        SELECT call_id, key_id, tenant_id, project_id, model, lease_id, tokens_in, tokens_out,
               requests, finished_at_ms
        FROM call WHERE recorded = 0 AND state = 'closed' AND finished_at_ms < :before_ms
        ORDER BY finished_at_ms, call_id LIMIT :limit
        """,
        {"before_ms": before_ms, "limit": limit},
    )
    return [FinishedCall(**dict(row)) for row in rows]


def has_unrecorded_calls(db: Db) -> bool:
    """Whether a call has ended that stands in no record yet."""
    return (
        db.row("SELECT 1 FROM call WHERE recorded = 0 AND state = 'closed' LIMIT 1", {}) is not None
    )


def move_recorded(db: Db, calls: Mapping[str, int | None]) -> int:
    """Note that these calls stand in the usage log, and which entry has the root over their rows;
    return how many did not before."""
    return db.write_many(
        "UPDATE call SET recorded = 1, entry_idx = :idx WHERE call_id = :call_id AND recorded = 0",
        [{"call_id": call_id, "idx": index} for call_id, index in calls.items()],
    )


def find_call_entry(db: Db, call_id: str) -> int | None:
    """Return which entry of the usage log has the root over a call's row, or None."""
    row = db.row("SELECT entry_idx FROM call WHERE call_id = :call_id", {"call_id": call_id})
    return None if row is None else row["entry_idx"]


def list_calls_of_entry(db: Db, index: int) -> list[FinishedCall]:
    """Return the calls that a record counts, in the order of their rows."""
    rows = db.rows(
        """
        SELECT call_id, key_id, tenant_id, project_id, model, lease_id, tokens_in, tokens_out,
               requests, finished_at_ms
        FROM call WHERE entry_idx = :idx ORDER BY finished_at_ms, call_id
        """,
        {"idx": index},
    )
    return [FinishedCall(**dict(row)) for row in rows]


def forget_calls_before(db: Db, at_ms: int) -> int:
    """Take calls that ended up to a moment as recorded; return how many were not."""
    return db.write(
        "UPDATE call SET recorded = 1 WHERE recorded = 0 AND finished_at_ms <= :at_ms",
        {"at_ms": at_ms},
    )


def find_time(db: Db) -> tuple[TimeState, int, int, int] | None:
    """Return where the node's time stood: its state, and at the last tick time and two clocks.

    The three are the time itself, boottime, and the clock that does not run in suspend.
    """
    row = db.row(
        """
        SELECT boot_id, anchor_wall_ms, anchor_boot_ms, correction_ms, trusted, floor_ms,
               tick_boot_ms, tick_running_ms
        FROM timekeeper
        """,
        {},
    )
    if row is None:
        return None
    state = TimeState(
        boot_id=row["boot_id"],
        anchor_wall_ms=row["anchor_wall_ms"],
        anchor_boot_ms=row["anchor_boot_ms"],
        correction_ms=row["correction_ms"],
        trusted=bool(row["trusted"]),
    )
    return state, row["floor_ms"], row["tick_boot_ms"], row["tick_running_ms"]


def put_time(
    db: Db, state: TimeState, *, floor_ms: int, tick_boot_ms: int, tick_running_ms: int
) -> None:
    """Keep where the node's time stands."""
    db.write(
        """
        INSERT INTO timekeeper (
            id, boot_id, anchor_wall_ms, anchor_boot_ms, correction_ms, trusted, floor_ms,
            tick_boot_ms, tick_running_ms
        )
        VALUES (
            1, :boot_id, :anchor_wall_ms, :anchor_boot_ms, :correction_ms, :trusted, :floor_ms,
            :tick_boot_ms, :tick_running_ms
        )
        ON CONFLICT (id) DO UPDATE
        SET boot_id = excluded.boot_id, anchor_wall_ms = excluded.anchor_wall_ms,
            anchor_boot_ms = excluded.anchor_boot_ms, correction_ms = excluded.correction_ms,
            trusted = excluded.trusted, floor_ms = max(floor_ms, excluded.floor_ms),
            tick_boot_ms = excluded.tick_boot_ms, tick_running_ms = excluded.tick_running_ms
        """,
        {
            "boot_id": state.boot_id,
            "anchor_wall_ms": state.anchor_wall_ms,
            "anchor_boot_ms": state.anchor_boot_ms,
            "correction_ms": state.correction_ms,
            "trusted": int(state.trusted),
            "floor_ms": floor_ms,
            "tick_boot_ms": tick_boot_ms,
            "tick_running_ms": tick_running_ms,
        },
    )


def _run(row: sqlite3.Row) -> MeteredRun:
    return MeteredRun(
        allocation_id=row["allocation_id"],
        tenant_id=row["tenant_id"],
        project_id=row["project_id"],
        sku=row["sku"],
        accelerators=tuple(json.loads(row["accelerators"])),
        container_id=row["container_id"],
        boot_id=row["boot_id"],
        ready_at_ms=row["ready_at_ms"],
        seen_at_ms=row["seen_at_ms"],
        released_at_ms=row["released_at_ms"],
        finished_at_ms=row["finished_at_ms"],
        metered_to_ms=row["metered_to_ms"],
        gone=row["phase"] in ("exited", "absent"),
        reason=row["reason"],
    )

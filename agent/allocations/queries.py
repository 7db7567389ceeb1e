"""SQL of the runs, and of why the engine cannot be used."""

import json
from collections.abc import Mapping
from sqlite3 import Row

from agent.allocations.moves import observed
from agent.allocations.run import Run
from agent.store.database import Db, Value
from protocol.observed import ALLOCATIONS_MAX, ObservedAllocation

ENGINE = "engine"
EGRESS = "egress"


def list_runs(db: Db) -> list[Run]:
    """Return every run, by allocation."""
    return [_run(row) for row in db.rows("SELECT * FROM run ORDER BY allocation_id", {})]


def find_run(db: Db, allocation_id: str) -> Run | None:
    """Return the run of an allocation, or None."""
    row = db.row(
        "SELECT * FROM run WHERE allocation_id = :allocation_id", {"allocation_id": allocation_id}
    )
    return None if row is None else _run(row)


def list_ready_runs(db: Db) -> list[Run]:
    """Return the runs that serve: ready, and not being stopped."""
    rows = db.rows(
        """
        SELECT * FROM run WHERE phase = 'running' AND ready_at_ms IS NOT NULL AND known = 1
        ORDER BY allocation_id
        """,
        {},
    )
    return [_run(row) for row in rows]


def list_observed(db: Db) -> list[ObservedAllocation]:
    """Return what the registry is told of each allocation.

    At most as many as a sync takes; those that changed last come first.
    """
    fault = find_engine_fault(db, ENGINE)
    rows = db.rows(
        "SELECT * FROM run ORDER BY since_ms DESC, allocation_id LIMIT :most",
        {"most": ALLOCATIONS_MAX},
    )
    return [observed(_run(row), engine_fault=fault) for row in rows]


def put_run(db: Db, run: Run) -> None:
    """Write a run that begins, over whatever was known of its allocation before."""
    values = {**_values(run), "metered_to_ms": None, "closed": 0}
    columns = ", ".join(values)
    places = ", ".join(f":{column}" for column in values)
    db.write(f"INSERT OR REPLACE INTO run ({columns}) VALUES ({places})", values)


def move_run(db: Db, before: Run, after: Run) -> bool:
    """Write a run if it still stands where `before` has it; False if it has moved on.

    How far it is metered is metering's to write and stays as it is.
    """
    values = _values(after)
    settings = ", ".join(f"{column} = :{column}" for column in values if column != "allocation_id")
    return (
        db.write(
            f"""
            UPDATE run SET {settings}
            WHERE allocation_id = :allocation_id AND phase = :before_phase
              AND attempt = :before_attempt
            """,
            {**values, "before_phase": before.phase, "before_attempt": before.attempt},
        )
        == 1
    )


def note_seen(db: Db, addresses: Mapping[str, str], *, now_ms: int) -> None:
    """Note the allocations whose container ran at `now_ms`, with the address it had."""
    db.write_many(
        """
        UPDATE run SET seen_at_ms = max(coalesce(seen_at_ms, 0), :now_ms), address = :address
        WHERE allocation_id = :allocation_id
        """,
        [
            {"allocation_id": allocation_id, "address": address, "now_ms": now_ms}
            for allocation_id, address in addresses.items()
        ],
    )


def delete_run(db: Db, allocation_id: str) -> bool:
    """Forget an allocation; False if nothing was known of it."""
    gone = db.write(
        "DELETE FROM run WHERE allocation_id = :allocation_id", {"allocation_id": allocation_id}
    )
    return gone == 1


def find_engine_fault(db: Db, subject: str) -> str | None:
    """Return why the engine, or what guards its networks, cannot be used; None if it can."""
    row = db.row("SELECT sentence FROM engine_fault WHERE subject = :subject", {"subject": subject})
    return None if row is None else str(row["sentence"])


def put_engine_fault(db: Db, subject: str, sentence: str, *, now_ms: int) -> None:
    """Note a fault; one that stands already keeps its beginning."""
    db.write(
        """
        INSERT INTO engine_fault (subject, since_ms, sentence)
        VALUES (:subject, :now_ms, :sentence)
        ON CONFLICT (subject) DO UPDATE SET sentence = excluded.sentence
        """,
        {"subject": subject, "now_ms": now_ms, "sentence": sentence},
    )


def delete_engine_fault(db: Db, subject: str) -> bool:
    """Note that all is well again; False if it was."""
    gone = db.write("DELETE FROM engine_fault WHERE subject = :subject", {"subject": subject})
    return gone == 1


def _values(run: Run) -> dict[str, Value]:
    return {
        "allocation_id": run.allocation_id,
        "tenant_id": run.tenant_id,
        "project_id": run.project_id,
        "sku": run.sku,
        "kind": run.kind,
        "known": int(run.known),
        "attempt": run.attempt,
        "generation": run.generation,
        "phase": run.phase,
        "since_ms": run.since_ms,
        "detail": run.detail,
        "requested_at_ms": run.requested_at_ms,
        "accelerators": json.dumps(run.accelerators),
        "spec_hash": run.spec_hash,
        "container_id": run.container_id,
        "address": run.address,
        "boot_id": run.boot_id,
        "started_at_ms": run.started_at_ms,
        "ready_at_ms": run.ready_at_ms,
        "seen_at_ms": run.seen_at_ms,
        "stop_asked_at_ms": run.stop_asked_at_ms,
        "stop_reason": run.stop_reason,
        "released_at_ms": run.released_at_ms,
        "finished_at_ms": run.finished_at_ms,
        "exit_code": run.exit_code,
        "failure": run.failure,
    }


def _run(row: Row) -> Run:
    values = {name: row[name] for name in row.keys()}  # noqa: SIM118  # iterating gives values
    values["accelerators"] = tuple(json.loads(row["accelerators"]))
    values["known"] = bool(row["known"])
    values["closed"] = bool(row["closed"])
    return Run(**values)

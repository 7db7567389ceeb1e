"""SQL of the usage log: one row of state, entries by index, ends of streams."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from agent.store.database import Db
from agent.usage_log.audit import StoredEntry
from agent.usage_log.log_state import LogState, Parked
from agent.usage_log.stream import StreamEnd, StreamKey
from protocol.merkle import read_frontier
from protocol.refusal import Fault

READ_ENTRIES_MAX = 4_096
"""Entries held in memory at once while the log is read."""


def find_log(db: Db) -> LogState | None:
    """Return the state of the log, or None on a node that was not enrolled yet."""
    row = db.row(
        """
        SELECT origin, epoch, size, frontier, registry_size, accepted_size, accepted_frontier,
               accepted_note, parked_code, parked_why
        FROM usage_log
        """,
        {},
    )
    if row is None:
        return None
    parked = None
    if row["parked_code"] is not None:
        parked = Parked(code=row["parked_code"], why=row["parked_why"])
    return LogState(
        origin=row["origin"],
        epoch=row["epoch"],
        frontier=read_frontier(row["size"], row["frontier"]),
        registry_size=row["registry_size"],
        accepted=read_frontier(row["accepted_size"], row["accepted_frontier"]),
        accepted_note=row["accepted_note"],
        parked=parked,
    )


def get_log(db: Db) -> LogState:
    """Return the state of the log of an enrolled node."""
    log = find_log(db)
    if log is None:
        raise Fault("This node has no usage log yet: enrol it first.")
    return log


def insert_log(db: Db, log: LogState) -> None:
    """Begin the log."""
    db.write(
        """
        INSERT INTO usage_log (
            id, origin, epoch, size, frontier, registry_size, accepted_size, accepted_frontier
        )
        VALUES (
            1, :origin, :epoch, :size, :frontier, :registry_size, :accepted_size,
            :accepted_frontier
        )
        """,
        _moving(log) | {"origin": log.origin, "epoch": log.epoch},
    )


def update_log(db: Db, log: LogState) -> None:
    """Keep where the log stands now; its name and epoch stay."""
    db.write(
        """
        UPDATE usage_log
        SET size = :size, frontier = :frontier, registry_size = :registry_size,
            accepted_size = :accepted_size, accepted_frontier = :accepted_frontier,
            accepted_note = :accepted_note, parked_code = :parked_code, parked_why = :parked_why
        """,
        _moving(log)
        | {
            "accepted_note": log.accepted_note,
            "parked_code": log.parked.code if log.parked else None,
            "parked_why": log.parked.why if log.parked else None,
        },
    )


def insert_entries(db: Db, begin: int, entries: Sequence[bytes], leaves: Sequence[bytes]) -> None:
    """Add entries at `begin`, which must be the present size, and their hashes."""
    db.write_many(
        "INSERT INTO usage_entry (idx, leaf, entry) VALUES (:idx, :leaf, :entry)",
        (
            {"idx": index, "leaf": leaf, "entry": entry}
            for index, (leaf, entry) in enumerate(zip(leaves, entries, strict=True), begin)
        ),
    )


def list_entries(db: Db, begin: int, end: int) -> list[bytes]:
    """Return the bytes of entries [begin, end), at most READ_ENTRIES_MAX of them."""
    assert end - begin <= READ_ENTRIES_MAX
    rows = db.rows(
        "SELECT entry FROM usage_entry WHERE idx >= :begin AND idx < :end ORDER BY idx",
        {"begin": begin, "end": end},
    )
    return [row["entry"] for row in rows]


def each_entry(db: Db, begin: int) -> Iterator[StoredEntry]:
    """Yield every entry from `begin` on, read piece by piece."""
    after = begin - 1
    while rows := db.rows(
        "SELECT idx, leaf, entry FROM usage_entry WHERE idx > :after ORDER BY idx LIMIT :max",
        {"after": after, "max": READ_ENTRIES_MAX},
    ):
        for row in rows:
            yield StoredEntry(index=row["idx"], leaf=row["leaf"], entry=row["entry"])
        after = rows[-1]["idx"]


def list_streams(db: Db, owners: Iterable[str]) -> dict[StreamKey, StreamEnd]:
    """Return where all streams of these owners stand."""
    rows = db.rows(
        """
        SELECT alc, meter, sku, last_end_ms, cumulative
        FROM json_each(:owners) AS owner JOIN stream ON alc = owner.value
        """,
        {"owners": json.dumps(list(owners))},
    )
    return {
        StreamKey(row["alc"], row["meter"], row["sku"]): StreamEnd(
            row["last_end_ms"], row["cumulative"]
        )
        for row in rows
    }


def list_all_streams(db: Db) -> dict[StreamKey, StreamEnd]:
    """Return where every stream stands."""
    rows = db.rows("SELECT alc, meter, sku, last_end_ms, cumulative FROM stream", {})
    return {
        StreamKey(row["alc"], row["meter"], row["sku"]): StreamEnd(
            row["last_end_ms"], row["cumulative"]
        )
        for row in rows
    }


def put_streams(db: Db, ends: Mapping[StreamKey, StreamEnd]) -> None:
    """Keep where these streams stand now."""
    db.write_many(
        """
        INSERT INTO stream (alc, meter, sku, last_end_ms, cumulative)
        VALUES (:alc, :meter, :sku, :last_end_ms, :cumulative)
        ON CONFLICT (alc, meter, sku) DO UPDATE
        SET last_end_ms = excluded.last_end_ms, cumulative = excluded.cumulative
        """,
        (
            {
                "alc": key.owner,
                "meter": key.meter,
                "sku": key.sku,
                "last_end_ms": end.last_end_ms,
                "cumulative": end.cumulative,
            }
            for key, end in ends.items()
        ),
    )


def _moving(log: LogState) -> dict[str, str | int | bytes | None]:
    return {
        "size": log.frontier.size,
        "frontier": log.frontier.to_bytes(),
        "registry_size": log.registry_size,
        "accepted_size": log.accepted.size,
        "accepted_frontier": log.accepted.to_bytes(),
    }

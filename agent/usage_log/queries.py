"""SQL of the usage log: one row of state, entries by index, ends of streams."""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from agent.store.database import Db
from agent.usage_log.audit import StoredEntry
from agent.usage_log.key_change import KeyChange
from agent.usage_log.log_state import LogState, Parked
from agent.usage_log.stream import StreamEnd, StreamKey
from protocol.merkle import read_frontier
from protocol.refusal import Fault
from protocol.tiles import TILE_WIDTH, bundle_bytes, hashes_of, read_bundle

READ_ENTRIES_MAX = 4_096
"""Entries held in memory at once while the log is read."""

COMPRESSION = 6


def find_log(db: Db) -> LogState | None:
    """Return the state of the log, or None on a node that was not enrolled yet."""
    row = db.row(
        """
        SELECT origin, epoch, size, frontier, registry_size, accepted_size, accepted_frontier,
               accepted_note, parked_code, parked_why, counted_from_ms
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
        counted_from_ms=row["counted_from_ms"],
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
            id, origin, epoch, size, frontier, registry_size, accepted_size, accepted_frontier,
            counted_from_ms
        )
        VALUES (
            1, :origin, :epoch, :size, :frontier, :registry_size, :accepted_size,
            :accepted_frontier, :counted_from_ms
        )
        """,
        _moving(log)
        | {"origin": log.origin, "epoch": log.epoch, "counted_from_ms": log.counted_from_ms},
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
    """Return the bytes of entries [begin, end), at most READ_ENTRIES_MAX of them.

    Raises ValueError where a bundle among them was damaged.
    """
    assert end - begin <= READ_ENTRIES_MAX
    sealed = _sealed_end(db)
    entries: list[bytes] = []
    for number in range(begin // TILE_WIDTH, -(-min(end, sealed) // TILE_WIDTH)):
        entries += list_bundle(db, number)
    if entries:
        entries = entries[begin % TILE_WIDTH :][: end - begin]
    rows = db.rows(
        "SELECT entry FROM usage_entry WHERE idx >= :begin AND idx < :end ORDER BY idx",
        {"begin": max(begin, sealed), "end": end},
    )
    return entries + [row["entry"] for row in rows]


def list_leaves(db: Db, begin: int, end: int) -> list[bytes]:
    """Return the noted hashes of entries [begin, end), which lie in one tile."""
    assert begin // TILE_WIDTH == (end - 1) // TILE_WIDTH
    row = db.row(
        "SELECT hashes FROM usage_bundle WHERE number = :number", {"number": begin // TILE_WIDTH}
    )
    if row is not None:
        return hashes_of(row["hashes"])[begin % TILE_WIDTH :][: end - begin]
    rows = db.rows(
        "SELECT leaf FROM usage_entry WHERE idx >= :begin AND idx < :end ORDER BY idx",
        {"begin": begin, "end": end},
    )
    return [row["leaf"] for row in rows]


def list_tile_roots(db: Db, level: int, begin: int, end: int) -> list[bytes]:
    """Return the roots kept at a level from 1 on, of numbers [begin, end)."""
    rows = db.rows(
        """
        SELECT root FROM usage_tile_root
        WHERE level = :level AND number >= :begin AND number < :end ORDER BY number
        """,
        {"level": level, "begin": begin, "end": end},
    )
    return [row["root"] for row in rows]


def list_bundle(db: Db, number: int) -> list[bytes]:
    """Return the entries of a sealed bundle; raise ValueError where it was damaged."""
    packed = find_bundle(db, number)
    if packed is None:
        raise ValueError(f"bundle {number} is missing")
    try:
        return read_bundle(gzip.decompress(packed))
    except (OSError, EOFError, zlib.error):
        raise ValueError(f"bundle {number} is damaged") from None


def find_bundle(db: Db, number: int) -> bytes | None:
    """Return a sealed bundle as it is kept, gzip; None where there is none."""
    row = db.row("SELECT entries FROM usage_bundle WHERE number = :number", {"number": number})
    return None if row is None else row["entries"]


def seal(db: Db, number: int) -> list[bytes]:
    """Put 256 entries into a bundle and return their noted hashes; their rows go."""
    begin, end = number * TILE_WIDTH, (number + 1) * TILE_WIDTH
    rows = db.rows(
        "SELECT leaf, entry FROM usage_entry WHERE idx >= :begin AND idx < :end ORDER BY idx",
        {"begin": begin, "end": end},
    )
    assert len(rows) == TILE_WIDTH, f"bundle {number} would hold {len(rows)} entries"
    leaves = [row["leaf"] for row in rows]
    packed = packed_bundle(row["entry"] for row in rows)
    db.write(
        "INSERT INTO usage_bundle (number, entries, hashes) VALUES (:number, :entries, :hashes)",
        {"number": number, "entries": packed, "hashes": b"".join(leaves)},
    )
    db.write(
        "DELETE FROM usage_entry WHERE idx >= :begin AND idx < :end",
        {"begin": begin, "end": end},
    )
    return leaves


def packed_bundle(entries: Iterable[bytes]) -> bytes:
    """Return an entry bundle in gzip; the same entries give the same bytes."""
    return gzip.compress(bundle_bytes(entries), COMPRESSION, mtime=0)


def insert_tile_root(db: Db, level: int, number: int, root: bytes) -> None:
    """Keep the root over a whole tile of the level below."""
    db.write(
        "INSERT INTO usage_tile_root (level, number, root) VALUES (:level, :number, :root)",
        {"level": level, "number": number, "root": root},
    )


def count_bundles(db: Db) -> int:
    """Return how many bundles are sealed."""
    return _sealed_end(db) // TILE_WIDTH


def list_stored(db: Db, begin: int, end: int) -> list[StoredEntry]:
    """Return the rows of entries [begin, end), at most READ_ENTRIES_MAX of them."""
    assert end - begin <= READ_ENTRIES_MAX
    rows = db.rows(
        "SELECT idx, leaf, entry FROM usage_entry WHERE idx >= :begin AND idx < :end ORDER BY idx",
        {"begin": begin, "end": end},
    )
    return [StoredEntry(row["idx"], row["leaf"], row["entry"]) for row in rows]


def each_entry(db: Db, begin: int) -> Iterator[StoredEntry]:
    """Yield every entry from `begin` on, read piece by piece; those of a damaged bundle empty."""
    sealed = _sealed_end(db)
    for number in range(begin // TILE_WIDTH, sealed // TILE_WIDTH):
        first = number * TILE_WIDTH
        leaves = list_leaves(db, first, first + TILE_WIDTH)
        try:
            entries = list_bundle(db, number)
        except ValueError:
            entries = []
        entries += [b""] * (TILE_WIDTH - len(entries))
        for at in range(max(begin - first, 0), TILE_WIDTH):
            yield StoredEntry(index=first + at, leaf=leaves[at], entry=entries[at])
    after = max(begin, sealed) - 1
    while rows := db.rows(
        "SELECT idx, leaf, entry FROM usage_entry WHERE idx > :after ORDER BY idx LIMIT :max",
        {"after": after, "max": READ_ENTRIES_MAX},
    ):
        for row in rows:
            yield StoredEntry(index=row["idx"], leaf=row["leaf"], entry=row["entry"])
        after = rows[-1]["idx"]


def set_aside(db: Db, begin: int, *, at_ms: int) -> int:
    """Move the entries from `begin` on, of which none is sealed, out of the log; return how many
    left."""
    db.write(
        """
        INSERT INTO usage_set_aside (idx, entry, at_ms)
        SELECT idx, entry, :at_ms FROM usage_entry WHERE idx >= :begin
        """,
        {"begin": begin, "at_ms": at_ms},
    )
    return db.write("DELETE FROM usage_entry WHERE idx >= :begin", {"begin": begin})


def replace_streams(db: Db, ends: Mapping[StreamKey, StreamEnd]) -> None:
    """Keep where all streams stand, and none besides."""
    db.write("DELETE FROM stream", {})
    put_streams(db, ends)


def find_key_change(db: Db) -> KeyChange | None:
    """Return the change of key that is under way, or None."""
    row = db.row("SELECT idx, public_key FROM usage_key_change", {})
    return None if row is None else KeyChange(row["idx"], row["public_key"])


def put_key_change(db: Db, change: KeyChange | None) -> None:
    """Keep the change of key that is under way; None when it is over."""
    db.write("DELETE FROM usage_key_change", {})
    if change is not None:
        db.write(
            "INSERT INTO usage_key_change (id, idx, public_key) VALUES (1, :idx, :public_key)",
            {"idx": change.index, "public_key": change.public_key},
        )


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


def _sealed_end(db: Db) -> int:
    row = db.row("SELECT max(number) AS last FROM usage_bundle", {})
    return 0 if row is None or row["last"] is None else (row["last"] + 1) * TILE_WIDTH


def _moving(log: LogState) -> dict[str, str | int | bytes | None]:
    return {
        "size": log.frontier.size,
        "frontier": log.frontier.to_bytes(),
        "registry_size": log.registry_size,
        "accepted_size": log.accepted.size,
        "accepted_frontier": log.accepted.to_bytes(),
    }

"""SQL of the usage logs and what follows from them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, func, insert, select, update

from protocol.clock import DAY_MS
from protocol.merkle import HASH_BYTES, Frontier, read_frontier
from protocol.packing import PackedEntries, Unpacked, joined, packed_entries, part
from protocol.usage import TIME_METERS
from registry.store.database import Db
from registry.store.tables import usage as tables
from registry.usage import statements
from registry.usage.bounds import Counts
from registry.usage.log_state import AcceleratorUse, Log, Opening, Stream, StreamKey
from registry.usage.log_tree import (
    BUNDLE_ENTRIES,
    SubtreeRoot,
    bundle_bytes,
    read_bundle,
    sealed,
    unpacked,
    unsealed,
)
from registry.usage.tally import HourKey, HourSum

COSTS_MAX = 200


@dataclass(frozen=True, slots=True)
class StreamCost:
    """What one stream came to so far.

    charged  what its tenant paid of `rated`
    """

    node_id: str
    epoch: int
    owner_id: str
    meter: str
    sku: str
    project_id: str
    first_index: int
    last_index: int
    begin_ms: int
    end_ms: int
    quantity: int
    rated: int
    charged: int


def find_log(db: Db, node_id: str, epoch: int) -> Log | None:
    """Return how far this log was accepted."""
    return _first(db.fetch(statements.LOG, {"node_id": node_id, "epoch": epoch}))


def find_log_by_origin(db: Db, origin: str) -> Log | None:
    """Return the log of this name."""
    return _first(db.fetch(statements.LOG_OF_ORIGIN, {"origin": origin}))


def find_latest_log(db: Db, node_id: str) -> Log | None:
    """Return the log of a node's present epoch: when it was last accepted, what is wrong."""
    return _first(db.fetch(statements.LATEST_LOG, {"node_id": node_id}))


def list_logs(db: Db) -> list[Log]:
    """Return every log."""
    return [_log(row) for row in db.fetch(statements.LOGS_IN_ORDER, {})]


def key_of_log(db: Db, node_id: str, epoch: int) -> bytes:
    """Return the public key by which a log is signed now; the log must have begun."""
    node_log = tables.node_log
    wanted = select(node_log.c.public_key).where(
        node_log.c.node_id == node_id, node_log.c.epoch == epoch
    )
    return bytes.fromhex(str(db.value(wanted)))


def insert_log(db: Db, log: Log) -> None:
    """Note that a log begins."""
    first = asdict(log) | {
        "public_key": log.public_key.hex(),
        "size": log.size,
        "frontier": log.frontier.to_bytes(),
    }
    db.execute(insert(tables.node_log), first)


def move_log(db: Db, log: Log, *, before: int) -> bool:
    """Move a log on from size `before`, its problem gone; False if it had moved already."""
    moved = {
        "public_key": log.public_key.hex(),
        "size": log.size,
        "frontier": log.frontier.to_bytes(),
        "checkpoint": log.checkpoint,
        "cosignature": log.cosignature,
        "accepted_at_ms": log.accepted_at_ms,
        "before": before,
    }
    return db.change(statements.MOVE_LOG, _key(log) | moved) == 1


def note_problem(
    db: Db, log: Log, *, state: str, code: str, message: str, evidence: str, now_ms: int
) -> None:
    """Note why a log does not go on; a frozen one keeps what froze it."""
    node_log = tables.node_log
    since_ms = log.problem_at_ms if log.problem_code == code else now_ms
    db.write(
        update(node_log)
        .where(_is(node_log, log), node_log.c.state != "frozen")
        .values(
            state=state,
            problem_code=code,
            problem_message=message,
            problem_at_ms=since_ms,
            evidence=evidence,
        )
    )


def list_bundle(db: Db, log: Log, number: int) -> Sequence[bytes]:
    """Return the entries of a bundle, or of the tail; raise ValueError where it was damaged."""
    return list_entries(db, log, number * BUNDLE_ENTRIES, (number + 1) * BUNDLE_ENTRIES)


def list_entries(db: Db, log: Log, begin: int, end: int) -> Sequence[bytes]:
    """Return the accepted entries [begin, end); raise ValueError where some were damaged.

    Where some are missing, so are all that follow.
    """
    return list_unpacked(db, log, begin, end).entries


def list_unpacked(db: Db, log: Log, begin: int, end: int) -> Unpacked:
    """Return the same with their records by the column."""
    first, last = begin // BUNDLE_ENTRIES, -(-end // BUNDLE_ENTRIES)
    pieces: list[Unpacked] = []
    at = begin
    for number, stored in db.fetch(statements.BUNDLES, _key(log) | {"first": first, "last": last}):
        place = number * BUNDLE_ENTRIES
        for piece in unsealed(bytes(stored)):
            stop = min(end, place + piece.count)
            if place <= at < stop:
                pieces.append(unpacked(part(piece, at - place, stop - place)))
                at = stop
            place += piece.count
    tail = log.size - log.size % BUNDLE_ENTRIES
    if tail <= at < end:
        pieces.append(unpacked(packed_entries(_tail(db, log)[at - tail : end - tail])))
    return joined(pieces)


def list_roots(db: Db, log: Log, level: int, first: int, last: int) -> list[bytes]:
    """Return the roots kept at a level, of numbers [first, last)."""
    wanted = {"level": level, "first": first, "last": last}
    return [bytes(root) for (root,) in db.fetch(statements.ROOTS, _key(log) | wanted)]


def insert_entries(
    db: Db,
    log: Log,
    packed: PackedEntries,
    entries: Sequence[bytes],
    roots: Iterable[SubtreeRoot],
) -> None:
    """Add entries after the last one: whole bundles sealed, the rest in the tail.

    entries  those that are packed in `packed`
    """
    key = _key(log)
    held = log.size % BUNDLE_ENTRIES
    begin, at = log.size, 0
    if held + len(entries) >= BUNDLE_ENTRIES:
        pieces = []
        if held:
            at = BUNDLE_ENTRIES - held
            pieces.append(packed_entries([*_tail(db, log), *entries[:at]]))
            db.change(statements.DELETE_TAIL, key)
        whole = len(entries) - (len(entries) - at) % BUNDLE_ENTRIES
        if at < whole:
            pieces.append(part(packed, at, whole))
        bundles = {"number": begin // BUNDLE_ENTRIES, "entries": sealed(pieces)}
        db.change(statements.INSERT_BUNDLES, key | bundles)
        kept = [{"level": one.level, "number": one.number, "root": one.root} for one in roots]
        db.put(statements.INSERT_ROOT, [key | one for one in kept])
        begin, at = begin + whole, whole
    if at < len(entries):
        rest = entries[at:]
        tail = {"begin": begin, "count": len(rest), "entries": bundle_bytes(rest)}
        db.change(statements.INSERT_TAIL, key | tail)


def list_streams(db: Db, log: Log, owners: Iterable[str] | None = None) -> dict[StreamKey, Stream]:
    """Return the streams of these owners in this log, or all of them."""
    if owners is None:
        rows = db.fetch(statements.STREAMS_OF_LOG, _key(log))
    else:
        rows = db.fetch(statements.STREAMS, _key(log) | {"owners": list(owners)})
    return {(row[0], row[1], row[2]): Stream(*row[3:]) for row in rows}


def list_skus_used(db: Db) -> list[str]:
    """Return every SKU that a stream names."""
    return [row.sku for row in db.rows(select(tables.stream.c.sku).distinct())]


def list_openings(db: Db, log: Log, allocations: Iterable[str]) -> dict[str, Opening]:
    """Return what these allocations hold or last held, by the word of this log."""
    rows = db.fetch(statements.OPENINGS, _key(log) | {"allocations": list(allocations)})
    return {
        allocation_id: Opening(tuple(json.loads(accelerators)), opened_at_ms, closed_at_ms)
        for allocation_id, accelerators, opened_at_ms, closed_at_ms in rows
    }


def list_accelerator_uses(db: Db, log: Log) -> dict[str, AcceleratorUse]:
    """Return who holds each accelerator of this log's node."""
    held = tables.accelerator_use
    rows = db.rows(select(held).where(_is(held, log)))
    return {row.uuid: AcceleratorUse(row.held_by, row.since_ms) for row in rows}


def counted_to_ms(db: Db, log: Log) -> int:
    """Return up to when earlier epochs of this log's node have counted time; 0 if none did."""
    stream = tables.stream.c
    earlier = and_(stream.node_id == log.node_id, stream.epoch < log.epoch)
    timed = stream.meter.in_(sorted(TIME_METERS))
    return int(db.value(select(func.max(stream.end_ms)).where(earlier, timed)) or 0)


def upsert_streams(db: Db, log: Log, streams: Mapping[StreamKey, Stream]) -> None:
    """Store where these streams stand; one that is new gets its number."""
    for (owner_id, meter, sku), stream in streams.items():
        if not stream.stream_id:
            named = {"owner_id": owner_id, "meter": meter, "sku": sku} | asdict(stream)
            ((stream.stream_id,),) = db.fetch(statements.INSERT_STREAM, _key(log) | named)
    db.put(
        statements.MOVE_STREAM,
        [
            {
                "stream_id": stream.stream_id,
                "last_index": stream.last_index,
                "end_ms": stream.end_ms,
                "cumulative": stream.cumulative,
                "rated": stream.rated,
                "charged": stream.charged,
                "shared": stream.shared,
            }
            for stream in streams.values()
        ],
    )


def upsert_openings(db: Db, log: Log, openings: Mapping[str, Opening]) -> None:
    """Store what these allocations hold."""
    values = [
        _key(log)
        | asdict(opening)
        | {"allocation_id": allocation_id, "accelerators": json.dumps(opening.accelerators)}
        for allocation_id, opening in openings.items()
    ]
    db.put(statements.PUT_OPENING, values)


def upsert_accelerator_uses(db: Db, log: Log, uses: Mapping[str, AcceleratorUse]) -> None:
    """Store who holds these accelerators."""
    values = [_key(log) | {"uuid": uuid} | asdict(use) for uuid, use in uses.items()]
    db.put(statements.PUT_ACCELERATOR_USE, values)


def add_hours(
    db: Db, streams: Mapping[StreamKey, Stream], hours: Mapping[HourKey, HourSum]
) -> None:
    """Add what a batch came to, to the rows of its hours; its streams are stored already."""
    sums = [
        {
            "tenant_id": streams[key].tenant_id,
            "hour_ms": hour_ms,
            "stream_id": streams[key].stream_id,
            "quantity": hour.quantity,
            "rated": hour.rated,
            "charged": hour.charged,
        }
        for (key, hour_ms), hour in hours.items()
    ]
    db.put(statements.ADD_HOUR, sums)


def list_counts(db: Db, node_id: str, wanted: Counts) -> dict[tuple[str, int], int]:
    """Return what was accepted of a node in the hours of `wanted`, by meter and hour."""
    meters = sorted({meter for meter, _ in wanted if meter not in TIME_METERS})
    hours = sorted({hour_ms for meter, hour_ms in wanted if meter in meters})
    if not meters:
        return {}
    values = {"node_id": node_id, "meters": meters, "hours": hours}
    return {
        (meter, hour_ms): int(count)
        for meter, hour_ms, count in db.fetch(statements.COUNTS, values)
    }


def list_hours(db: Db) -> dict[tuple[str, HourKey], HourSum]:
    """Return what each stream of a node came to by hour, over all of its logs."""
    return {
        (node_id, ((owner_id, meter, sku), hour_ms)): HourSum(*map(int, sums))
        for node_id, owner_id, meter, sku, hour_ms, *sums in db.fetch(statements.HOURS, {})
    }


def list_costs(
    db: Db, *, tenant_id: str | None = None, owner_id: str | None = None, limit: int = COSTS_MAX
) -> list[StreamCost]:
    """Return what streams came to so far, the latest used first: a tenant's, or one owner's."""
    wanted = select(tables.stream).order_by(tables.stream.c.end_ms.desc()).limit(limit)
    if tenant_id is not None:
        wanted = wanted.where(tables.stream.c.tenant_id == tenant_id)
    if owner_id is not None:
        wanted = wanted.where(tables.stream.c.owner_id == owner_id)
    return [
        StreamCost(
            node_id=row.node_id,
            epoch=row.epoch,
            owner_id=row.owner_id,
            meter=row.meter,
            sku=row.sku,
            project_id=row.project_id,
            first_index=row.first_index,
            last_index=row.last_index,
            begin_ms=row.begin_ms,
            end_ms=row.end_ms,
            quantity=row.cumulative,
            rated=row.rated,
            charged=row.charged,
        )
        for row in db.rows(wanted)
    ]


def cost_by_owner(db: Db, owners: Iterable[str]) -> dict[str, int]:
    """Return the micros charged so far by allocation or API key; owners without any left out."""
    owner = tables.stream.c.owner_id
    rows = db.rows(
        select(owner, func.sum(tables.stream.c.charged).label("micros"))
        .where(owner.in_(list(owners)))
        .group_by(owner)
    )
    return {row.owner_id: int(row.micros) for row in rows}


def usage_by_day(db: Db, tenant_id: str, *, from_ms: int, to_ms: int) -> dict[int, int]:
    """Return what usage came to by UTC day in which it happened, days without any left out."""
    hour = tables.usage_hour.c
    day = hour.hour_ms - hour.hour_ms % DAY_MS
    rows = db.rows(
        select(day.label("day_ms"), func.sum(hour.charged).label("micros"))
        .where(hour.tenant_id == tenant_id, hour.hour_ms >= from_ms, hour.hour_ms < to_ms)
        .group_by("day_ms")
        .order_by("day_ms")
    )
    return {int(row.day_ms): int(row.micros) for row in rows}


def _tail(db: Db, log: Log) -> list[bytes]:
    """Return the entries after the last whole bundle."""
    rows = db.fetch(statements.TAIL, _key(log))
    return [entry for (stored,) in rows for entry in read_bundle(bytes(stored))]


def _key(log: Log) -> dict[str, object]:
    return {"node_id": log.node_id, "epoch": log.epoch}


def _is(table: Table, log: Log) -> ColumnElement[bool]:
    return and_(table.c.node_id == log.node_id, table.c.epoch == log.epoch)


def _first(rows: Sequence[tuple[Any, ...]]) -> Log | None:
    return _log(rows[0]) if rows else None


def _log(row: tuple[Any, ...]) -> Log:
    node_id, epoch, origin, public_key, state, size, joined, *rest = row
    whole = len(joined) == HASH_BYTES * size.bit_count()
    frontier = read_frontier(size, bytes(joined)) if whole else Frontier(size, ())
    return Log(node_id, epoch, origin, bytes.fromhex(public_key), state, frontier, *rest)

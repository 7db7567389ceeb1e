"""SQL of the usage logs and what follows from them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_, delete, func, insert, select, text, update

from protocol.clock import DAY_MS
from protocol.merkle import HASH_BYTES, Frontier, read_frontier
from protocol.usage import TIME_METERS
from registry.store.database import Db
from registry.store.tables import usage as tables
from registry.usage.log_state import AcceleratorUse, Log, Opening, Stream, StreamKey
from registry.usage.log_tree import (
    BUNDLE_ENTRIES,
    SubtreeRoot,
    bundle_bytes,
    packed,
    read_bundle,
    unpacked,
)
from registry.usage.tally import HourKey, HourSum

COSTS_MAX = 200
STREAM_COLUMNS = tuple(column.name for column in fields(Stream))
HOUR_COLUMNS = tuple(column.name for column in fields(HourSum))


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
    row = db.row(
        text("SELECT * FROM node_log WHERE node_id = :node_id AND epoch = :epoch"),
        {"node_id": node_id, "epoch": epoch},
    )
    return None if row is None else _log(row)


def find_log_by_origin(db: Db, origin: str) -> Log | None:
    """Return the log of this name."""
    row = db.row(text("SELECT * FROM node_log WHERE origin = :origin"), {"origin": origin})
    return None if row is None else _log(row)


def find_latest_log(db: Db, node_id: str) -> Log | None:
    """Return the log of a node's present epoch: when it was last accepted, what is wrong."""
    row = db.row(
        text("SELECT * FROM node_log WHERE node_id = :node_id ORDER BY epoch DESC LIMIT 1"),
        {"node_id": node_id},
    )
    return None if row is None else _log(row)


def list_logs(db: Db) -> list[Log]:
    """Return every log."""
    return [_log(row) for row in db.rows(text("SELECT * FROM node_log ORDER BY node_id, epoch"))]


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
    node_log = tables.node_log
    moved = db.write(
        update(node_log)
        .where(_is(node_log, log), node_log.c.size == before, node_log.c.state != "frozen")
        .values(
            state="open",
            public_key=log.public_key.hex(),
            size=log.size,
            frontier=log.frontier.to_bytes(),
            checkpoint=log.checkpoint,
            cosignature=log.cosignature,
            accepted_at_ms=log.accepted_at_ms,
            problem_code="",
            problem_message="",
            problem_at_ms=None,
        )
    )
    return moved == 1


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


def list_bundle(db: Db, log: Log, number: int) -> list[bytes]:
    """Return the entries of a bundle, or of the tail; raise ValueError where it was damaged."""
    bundle, tail = tables.log_bundle, tables.log_tail
    stored = db.value(select(bundle.c.entries).where(_is(bundle, log), bundle.c.number == number))
    if stored is not None:
        return unpacked(bytes(stored))
    if number != log.size // BUNDLE_ENTRIES:
        return []
    rows = db.rows(select(tail.c.entries).where(_is(tail, log)).order_by(tail.c.begin))
    return [entry for row in rows for entry in read_bundle(bytes(row.entries))]


def list_entries(db: Db, log: Log, begin: int, end: int) -> list[bytes]:
    """Return the accepted entries [begin, end)."""
    entries: list[bytes] = []
    for number in range(begin // BUNDLE_ENTRIES, -(-end // BUNDLE_ENTRIES)):
        entries.extend(list_bundle(db, log, number))
    skipped = begin - begin % BUNDLE_ENTRIES
    return entries[begin - skipped : end - skipped]


def list_roots(db: Db, log: Log, level: int, first: int, last: int) -> list[bytes]:
    """Return the roots kept at a level, of numbers [first, last)."""
    kept = tables.log_subtree
    rows = db.rows(
        select(kept.c.root)
        .where(_is(kept, log), kept.c.level == level, kept.c.number >= first, kept.c.number < last)
        .order_by(kept.c.number)
    )
    return [bytes(row.root) for row in rows]


def insert_entries(
    db: Db, log: Log, entries: Sequence[bytes], roots: Iterable[SubtreeRoot]
) -> None:
    """Add entries after the last one: whole bundles sealed, the rest in the tail."""
    key = _key(log)
    held = log.size % BUNDLE_ENTRIES
    begin, rest = log.size, list(entries)
    if held + len(entries) >= BUNDLE_ENTRIES:
        rest = list_bundle(db, log, log.size // BUNDLE_ENTRIES)[:held] + rest
        begin = log.size - held
        db.write(delete(tables.log_tail).where(_is(tables.log_tail, log)))
        bundles = []
        while len(rest) >= BUNDLE_ENTRIES:
            sealed, rest = rest[:BUNDLE_ENTRIES], rest[BUNDLE_ENTRIES:]
            bundles.append(key | {"number": begin // BUNDLE_ENTRIES, "entries": packed(sealed)})
            begin += BUNDLE_ENTRIES
        db.execute(
            text("INSERT INTO log_bundle VALUES (:node_id, :epoch, :number, :entries)"), bundles
        )
        db.execute(
            text("INSERT INTO log_subtree VALUES (:node_id, :epoch, :level, :number, :root)"),
            [key | {"level": one.level, "number": one.number, "root": one.root} for one in roots],
        )
    if rest:
        db.execute(
            text("INSERT INTO log_tail VALUES (:node_id, :epoch, :begin, :count, :entries)"),
            key | {"begin": begin, "count": len(rest), "entries": bundle_bytes(rest)},
        )


def list_streams(db: Db, log: Log, owners: Iterable[str] | None = None) -> dict[StreamKey, Stream]:
    """Return the streams of these owners in this log, or all of them."""
    wanted = select(tables.stream).where(_is(tables.stream, log))
    if owners is not None:
        wanted = wanted.where(tables.stream.c.owner_id.in_(list(owners)))
    return {
        (row.owner_id, row.meter, row.sku): Stream(**_columns(row, STREAM_COLUMNS))
        for row in db.rows(wanted)
    }


def list_skus_used(db: Db) -> list[str]:
    """Return every SKU that a stream names."""
    return [row.sku for row in db.rows(select(tables.stream.c.sku).distinct())]


def list_openings(db: Db, log: Log, allocations: Iterable[str]) -> dict[str, Opening]:
    """Return what these allocations hold or last held, by the word of this log."""
    rows = db.rows(
        select(tables.opening).where(
            _is(tables.opening, log),
            tables.opening.c.allocation_id.in_(list(allocations)),
        )
    )
    return {
        row.allocation_id: Opening(
            accelerators=tuple(json.loads(row.accelerators)),
            opened_at_ms=row.opened_at_ms,
            closed_at_ms=row.closed_at_ms,
        )
        for row in rows
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
    """Store where these streams stand."""
    values = [
        _key(log)
        | {"owner_id": owner_id, "meter": meter, "sku": sku}
        | _columns(stream, STREAM_COLUMNS)
        for (owner_id, meter, sku), stream in streams.items()
    ]
    _upsert(db, tables.stream, values)


def upsert_openings(db: Db, log: Log, openings: Mapping[str, Opening]) -> None:
    """Store what these allocations hold."""
    values = [
        _key(log)
        | asdict(opening)
        | {"allocation_id": allocation_id, "accelerators": json.dumps(opening.accelerators)}
        for allocation_id, opening in openings.items()
    ]
    _upsert(db, tables.opening, values)


def upsert_accelerator_uses(db: Db, log: Log, uses: Mapping[str, AcceleratorUse]) -> None:
    """Store who holds these accelerators."""
    values = [_key(log) | {"uuid": uuid} | asdict(use) for uuid, use in uses.items()]
    _upsert(db, tables.accelerator_use, values)


def add_hours(db: Db, log: Log, hours: Mapping[HourKey, HourSum]) -> None:
    """Add what a batch came to, to the rows of its hours."""
    names = ("tenant_id", "hour_ms", "owner_id", "meter", "sku")
    values = [
        dict(zip(names, key, strict=True)) | {"node_id": log.node_id} | _columns(hour, HOUR_COLUMNS)
        for key, hour in hours.items()
    ]
    _upsert(db, tables.usage_hour, values, adding=("quantity", "rated", "charged"))


def list_hours(db: Db) -> dict[tuple[str, HourKey], HourSum]:
    """Return every row of an hour, by node and stream."""
    rows = db.rows(select(tables.usage_hour))
    return {
        (row.node_id, (row.tenant_id, row.hour_ms, row.owner_id, row.meter, row.sku)): HourSum(
            row.project_id, row.quantity, row.rated, row.charged
        )
        for row in rows
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


def _columns(row: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _key(log: Log) -> dict[str, object]:
    return {"node_id": log.node_id, "epoch": log.epoch}


def _is(table: Table, log: Log) -> ColumnElement[bool]:
    return and_(table.c.node_id == log.node_id, table.c.epoch == log.epoch)


def _upsert(
    db: Db, table: Table, values: Sequence[Mapping[str, object]], *, adding: tuple[str, ...] = ()
) -> None:
    """Insert rows; a row whose key is there takes the other values, or adds those in `adding`."""
    if not values:
        return
    names = [column.name for column in table.columns]
    keys = [column.name for column in table.primary_key.columns]
    changes = [
        f"{name} = {table.name}.{name} + excluded.{name}"
        if name in adding
        else f"{name} = excluded.{name}"
        for name in names
        if name not in keys
    ]
    db.execute(
        text(
            f"INSERT INTO {table.name} ({', '.join(names)}) "
            f"VALUES ({', '.join(f':{name}' for name in names)}) "
            f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(changes)}"
        ),
        values,
    )


def _log(row: Row[Any]) -> Log:
    joined = bytes(row.frontier)
    whole = len(joined) == HASH_BYTES * row.size.bit_count()
    return Log(
        node_id=row.node_id,
        epoch=row.epoch,
        origin=row.origin,
        public_key=bytes.fromhex(row.public_key),
        state=row.state,
        frontier=read_frontier(row.size, joined) if whole else Frontier(row.size, ()),
        checkpoint=row.checkpoint,
        cosignature=row.cosignature,
        accepted_at_ms=row.accepted_at_ms,
        problem_code=row.problem_code,
        problem_message=row.problem_message,
        problem_at_ms=row.problem_at_ms,
        evidence=row.evidence,
    )

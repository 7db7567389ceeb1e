"""SQL of sessions, gaps, corrections and keys of usage logs."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Table, and_, func, insert, select

from protocol.log_events import EVERYTHING, Adjusted, Gap, Session
from registry.store.database import Db
from registry.store.tables import log_events as tables
from registry.store.tables import usage as usage_tables

SESSIONS_MAX = 200


@dataclass(frozen=True, slots=True)
class LogKey:
    """A key that signs a log from `from_size` entries on, and the checkpoint that proves it."""

    from_size: int
    public_key: bytes
    note: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session, the node and the entry that state it."""

    node_id: str
    epoch: int
    index: int
    session: Session


def insert_sessions(
    db: Db, node_id: str, epoch: int, sessions: Iterable[tuple[int, Session]]
) -> None:
    """Keep sessions."""
    _insert(db, tables.log_session, node_id, epoch, ((at, asdict(one)) for at, one in sessions))


def insert_gaps(db: Db, node_id: str, epoch: int, gaps: Iterable[tuple[int, Gap]]) -> None:
    """Keep gaps."""
    _insert(db, tables.log_gap, node_id, epoch, ((at, asdict(one)) for at, one in gaps))


def insert_adjustments(
    db: Db, node_id: str, epoch: int, adjustments: Iterable[tuple[int, Adjusted]]
) -> None:
    """Keep corrections."""
    names = ("reference", "allocation_id", "meter", "sku", "quantity", "reason")
    rows = ((at, {name: getattr(one, name) for name in names}) for at, one in adjustments)
    _insert(db, tables.log_adjustment, node_id, epoch, rows)


def insert_key(
    db: Db, node_id: str, epoch: int, *, from_size: int, public_key: bytes, note: str
) -> None:
    """Keep which key signs a log from a size on."""
    row = {"from_size": from_size, "public_key": public_key.hex(), "note": note}
    db.execute(insert(tables.log_key), {"node_id": node_id, "epoch": epoch} | row)


def insert_approval(
    db: Db, node_id: str, epoch: int, reference: int, quantity: int, *, by: str, now_ms: int
) -> None:
    """Keep that a correction upwards is allowed."""
    row = {
        "node_id": node_id,
        "epoch": epoch,
        "reference": reference,
        "quantity": quantity,
        "approved_by": by,
        "approved_at_ms": now_ms,
    }
    db.execute(insert(tables.adjustment_approval), row)


def insert_span(db: Db, node_id: str, epoch: int, begin: int, span: tuple[int, int]) -> None:
    """Keep within what times the batch that begins at `begin` counted."""
    row = {"begin": begin, "low_ms": span[0], "high_ms": span[1]}
    db.execute(insert(tables.log_span), {"node_id": node_id, "epoch": epoch} | row)


def find_span(db: Db, node_id: str, epoch: int, begin: int) -> tuple[int, int] | None:
    """Return within what times the batch that began at `begin` counted; None for its own."""
    rows = db.fetch(
        """
        SELECT low_ms, high_ms FROM log_span
        WHERE node_id = :node_id AND epoch = :epoch AND "begin" = :begin
        """,
        {"node_id": node_id, "epoch": epoch, "begin": begin},
    )
    return (rows[0][0], rows[0][1]) if rows else None


def counted_to_ms(db: Db, node_id: str, epoch: int) -> int:
    """Return up to when usage of a log was accepted; 0 if none was."""
    stream = usage_tables.stream
    wanted = select(func.max(stream.c.end_ms)).where(_is(stream, node_id, epoch))
    return int(db.value(wanted) or 0)


def list_keys(db: Db, node_id: str, epoch: int) -> list[LogKey]:
    """Return the keys of a log in the order in which they signed it."""
    kept = tables.log_key
    rows = db.rows(select(kept).where(_is(kept, node_id, epoch)).order_by(kept.c.from_size))
    return [LogKey(row.from_size, bytes.fromhex(row.public_key), row.note) for row in rows]


def adjusted_by_reference(
    db: Db, node_id: str, epoch: int, references: Iterable[int]
) -> dict[int, int]:
    """Return what the corrections of these records come to; records without any left out."""
    kept = tables.log_adjustment
    rows = db.rows(
        select(kept.c.reference, func.sum(kept.c.quantity).label("quantity"))
        .where(_is(kept, node_id, epoch), kept.c.reference.in_(list(references)))
        .group_by(kept.c.reference)
    )
    return {row.reference: int(row.quantity) for row in rows}


def adjusted_by_stream(
    db: Db, owners: Iterable[str]
) -> Mapping[tuple[str, int, str, str, str], int]:
    """Return what corrections of these owners' streams come to, by node, epoch and stream."""
    kept = tables.log_adjustment
    key = (kept.c.node_id, kept.c.epoch, kept.c.allocation_id, kept.c.meter, kept.c.sku)
    rows = db.rows(
        select(*key, func.sum(kept.c.quantity).label("quantity"))
        .where(kept.c.allocation_id.in_(list(owners)))
        .group_by(*key)
    )
    return {
        (row.node_id, row.epoch, row.allocation_id, row.meter, row.sku): int(row.quantity)
        for row in rows
    }


def list_approved(
    db: Db, node_id: str, epoch: int, references: Iterable[int]
) -> frozenset[tuple[int, int]]:
    """Return (reference, quantity) of the corrections upwards that are allowed."""
    kept = tables.adjustment_approval
    rows = db.rows(
        select(kept.c.reference, kept.c.quantity).where(
            _is(kept, node_id, epoch), kept.c.reference.in_(list(references))
        )
    )
    return frozenset((row.reference, row.quantity) for row in rows)


def lost_to_ms(db: Db, node_id: str, epoch: int) -> int:
    """Return up to when a log declared all of its node's time as lost; 0 if it never did."""
    kept = tables.log_gap
    wanted = select(func.max(kept.c.end_ms)).where(
        _is(kept, node_id, epoch), kept.c.allocation_id == EVERYTHING
    )
    return int(db.value(wanted) or 0)


def find_end(db: Db, node_id: str, epoch: int) -> tuple[int, bytes, int | None] | None:
    """Return how far a log was accepted: size, frontier, and when; None where there is none."""
    log = usage_tables.node_log
    row = db.row(
        select(log.c.size, log.c.frontier, log.c.accepted_at_ms).where(_is(log, node_id, epoch))
    )
    return None if row is None else (row.size, bytes(row.frontier), row.accepted_at_ms)


def find_evidence(db: Db, node_id: str) -> str | None:
    """Return why a node's log was frozen, as a file that proves it; None if none ever was."""
    node_log = usage_tables.node_log
    found = db.value(
        select(node_log.c.evidence)
        .where(node_log.c.node_id == node_id, node_log.c.state == "frozen")
        .order_by(node_log.c.epoch.desc())
        .limit(1)
    )
    return None if found is None else str(found)


def list_sessions(db: Db, tenant_id: str, *, limit: int = SESSIONS_MAX) -> list[SessionRow]:
    """Return the sessions on a tenant's allocations and files, the latest first."""
    kept = tables.log_session
    rows = db.rows(
        select(kept)
        .where(kept.c.tenant_id == tenant_id)
        .order_by(kept.c.end_ms.desc(), kept.c.idx.desc())
        .limit(limit)
    )
    return [
        SessionRow(
            node_id=row.node_id,
            epoch=row.epoch,
            index=row.idx,
            session=Session(
                object_id=row.object_id,
                tenant_id=row.tenant_id,
                project_id=row.project_id,
                who=row.who,
                via=row.via,
                path=row.path,
                begin_ms=row.begin_ms,
                end_ms=row.end_ms,
                bytes_in=row.bytes_in,
                bytes_out=row.bytes_out,
                reason=row.reason,
            ),
        )
        for row in rows
    ]


def _insert(
    db: Db,
    table: Table,
    node_id: str,
    epoch: int,
    rows: Iterable[tuple[int, Mapping[str, object]]],
) -> None:
    values = [{"node_id": node_id, "epoch": epoch, "idx": index} | dict(row) for index, row in rows]
    if values:
        db.execute(insert(table), values)


def _is(table: Table, node_id: str, epoch: int) -> ColumnElement[bool]:
    return and_(table.c.node_id == node_id, table.c.epoch == epoch)

"""SQL of money that went back: refunds and disputes."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import RowMapping, func, select, update

from registry.refunds.journals import DisputeRow, RefundRow
from registry.store.database import Db
from registry.store.tables.payments import dispute, refund


def find_refund(db: Db, refund_key: str) -> RefundRow | None:
    """Return a refund by our own key."""
    row = db.row(select(refund).where(refund.c.refund_key == refund_key))
    return None if row is None else _refund(row._mapping)


def find_refund_by_id(db: Db, refund_id: str) -> RefundRow | None:
    """Return a refund by the processor's id."""
    row = db.row(select(refund).where(refund.c.refund_id == refund_id))
    return None if row is None else _refund(row._mapping)


def list_refunds(db: Db, top_up_ids: Iterable[str]) -> list[RefundRow]:
    """Return the refunds of these top-ups, oldest first."""
    rows = db.rows(
        select(refund)
        .where(refund.c.top_up_id.in_(sorted(set(top_up_ids))))
        .order_by(refund.c.created_at_ms, refund.c.refund_key)
    )
    return [_refund(row._mapping) for row in rows]


def list_every_refund(db: Db) -> list[RefundRow]:
    """Return all refunds, for a check of the books."""
    return [_refund(row._mapping) for row in db.rows(select(refund))]


def sum_of_asked(db: Db) -> int:
    """Return what refunds come to of which it is not known whether they were sent."""
    asked = select(func.coalesce(func.sum(refund.c.micros), 0)).where(refund.c.state == "asked")
    return int(db.value(asked))


def list_every_dispute(db: Db) -> list[DisputeRow]:
    """Return all disputes, for a check of the books."""
    return [DisputeRow(**row._mapping) for row in db.rows(select(dispute))]


def list_asked_refunds(db: Db, *, limit: int) -> list[RefundRow]:
    """Return refunds of which it is not known whether they were sent, oldest first."""
    rows = db.rows(
        select(refund)
        .where(refund.c.state == "asked")
        .order_by(refund.c.created_at_ms)
        .limit(limit)
    )
    return [_refund(row._mapping) for row in rows]


def insert_refund(db: Db, **values: Any) -> bool:
    """Insert a refund; False if its key is there already."""
    return db.insert_new(refund, values)


def change_refund(db: Db, refund_key: str, **values: Any) -> None:
    """Give a refund other values."""
    db.write(update(refund).where(refund.c.refund_key == refund_key).values(**values))


def find_dispute(db: Db, dispute_id: str) -> DisputeRow | None:
    """Return a dispute."""
    row = db.row(select(dispute).where(dispute.c.dispute_id == dispute_id))
    return None if row is None else DisputeRow(**row._mapping)


def list_disputes(db: Db, *, state: str, limit: int) -> list[DisputeRow]:
    """Return disputes in a state, oldest first."""
    rows = db.rows(
        select(dispute)
        .where(dispute.c.state == state)
        .order_by(dispute.c.opened_at_ms)
        .limit(limit)
    )
    return [DisputeRow(**row._mapping) for row in rows]


def list_disputing(db: Db) -> frozenset[str]:
    """Return the organizations with a dispute that is open."""
    rows = db.rows(select(dispute.c.tenant_id).where(dispute.c.state == "open").distinct())
    return frozenset(row.tenant_id for row in rows)


def insert_dispute(db: Db, **values: Any) -> bool:
    """Insert a dispute; False if it is there already."""
    return db.insert_new(dispute, values)


def change_dispute(db: Db, dispute_id: str, **values: Any) -> None:
    """Give a dispute other values."""
    db.write(update(dispute).where(dispute.c.dispute_id == dispute_id).values(**values))


def _refund(row: RowMapping) -> RefundRow:
    return RefundRow(**{**row, "refund_id": row["refund_id"] or ""})

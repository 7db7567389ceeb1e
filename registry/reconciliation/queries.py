"""SQL of the processor's list, the last comparison, and the findings about payments."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, select, update

from registry.payments.checkout import micros_of
from registry.payments.provider import CURRENCY, Transaction
from registry.store.database import Db
from registry.store.tables.payments import payment_finding, provider_entry, reconciliation

NAME = "stripe"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the last comparison came out, in micros.

    last_transaction_id  how far the processor's list was read
    differs_since_ms     since when its balance is not that of the books
    """

    last_transaction_id: str
    checked_at_ms: int
    provider_micros: int
    book_micros: int
    differs_since_ms: int | None

    @property
    def difference(self) -> int:
        """What the processor has more than the books say."""
        return self.provider_micros - self.book_micros


@dataclass(frozen=True, slots=True)
class PaymentFinding:
    """Something about payments that a person must look at."""

    code: str
    subject: str
    detail: str
    remedy: str
    since_ms: int


NEVER = Comparison("", 0, 0, 0, None)


def get_comparison(db: Db) -> Comparison:
    """Return the last comparison; all zero before the first one."""
    row = db.row(select(reconciliation).where(reconciliation.c.name == NAME))
    if row is None:
        return NEVER
    values = dict(row._mapping)
    del values["name"]
    return Comparison(**values)


def put_comparison(db: Db, made: Comparison) -> None:
    """Keep a comparison, and how far the list was read."""
    db.upsert(
        reconciliation,
        ["name"],
        {
            "name": NAME,
            "last_transaction_id": made.last_transaction_id,
            "checked_at_ms": made.checked_at_ms,
            "provider_micros": made.provider_micros,
            "book_micros": made.book_micros,
            "differs_since_ms": made.differs_since_ms,
        },
    )


def change_posted(db: Db, transaction_id: str) -> None:
    """Note that the books know of a movement now."""
    db.write(
        update(provider_entry)
        .where(provider_entry.c.transaction_id == transaction_id)
        .values(posted=1)
    )


def list_unposted(db: Db, *, limit: int) -> list[Transaction]:
    """Return movements that the books know nothing of, oldest first."""
    rows = db.rows(
        select(provider_entry)
        .where(provider_entry.c.posted == 0)
        .order_by(provider_entry.c.created_at_ms)
        .limit(limit)
    )
    return [_transaction(row) for row in rows]


def list_entries(db: Db) -> list[Transaction]:
    """Return every movement that was noted, for a check of the books."""
    return [_transaction(row) for row in db.rows(select(provider_entry))]


def sum_of_entries(db: Db) -> int:
    """Return what all movements that were noted come to."""
    return int(db.value(select(func.coalesce(func.sum(provider_entry.c.net_micros), 0))))


def list_findings(db: Db) -> list[PaymentFinding]:
    """Return the findings that are open, oldest first."""
    rows = db.rows(
        select(payment_finding)
        .where(payment_finding.c.closed_at_ms.is_(None))
        .order_by(payment_finding.c.since_ms, payment_finding.c.code, payment_finding.c.subject)
    )
    return [
        PaymentFinding(row.code, row.subject, row.detail, row.remedy, row.since_ms) for row in rows
    ]


def open_finding(db: Db, found: PaymentFinding) -> None:
    """Open a finding, or bring the words of an open one up to date."""
    known = db.row(
        select(payment_finding.c.since_ms).where(
            _is(found.code, found.subject), payment_finding.c.closed_at_ms.is_(None)
        )
    )
    db.upsert(
        payment_finding,
        ["code", "subject"],
        {
            "code": found.code,
            "subject": found.subject,
            "detail": found.detail,
            "remedy": found.remedy,
            "since_ms": found.since_ms if known is None else known.since_ms,
            "closed_at_ms": None,
        },
    )


def close_finding(db: Db, *, code: str, subject: str = "", now_ms: int) -> bool:
    """Close a finding; False if it was not open."""
    return (
        db.write(
            update(payment_finding)
            .where(_is(code, subject), payment_finding.c.closed_at_ms.is_(None))
            .values(closed_at_ms=now_ms)
        )
        == 1
    )


def _is(code: str, subject: str) -> ColumnElement[bool]:
    return and_(payment_finding.c.code == code, payment_finding.c.subject == subject)


def _transaction(row: Row[Any]) -> Transaction:
    cents = micros_of(1)
    return Transaction(
        transaction_id=row.transaction_id,
        kind=row.kind,
        cents=row.micros // cents,
        fee_cents=row.fee_micros // cents,
        net_cents=row.net_micros // cents,
        currency=CURRENCY,
        source_id=row.source_id,
        created_at_ms=row.created_at_ms,
    )

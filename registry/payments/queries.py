"""SQL of payments by card: payers and top-ups."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, func, or_, select, update

from registry.ledger.postings import Tax
from registry.payments.checkout import OPEN_STATES, State, TopUp, micros_of
from registry.payments.provider import Card, Transaction
from registry.store.database import Db
from registry.store.tables.payments import payer, provider_entry, top_up

AUTO_OFF = {
    "auto_on": 0,
    "threshold_micros": 0,
    "amount_micros": 0,
    "since_ms": 0,
    "stopped_why": "",
}


@dataclass(frozen=True, slots=True)
class Payer:
    """An organization as the processor knows it, and its rule for paying by itself.

    card           the card that may be charged without the customer
    since_ms       when the rule was last switched on
    stopped_at_ms  when refusals ended it; stopped_why in words
    """

    tenant_id: str
    customer_id: str
    card: Card | None
    auto_on: bool
    threshold_micros: int
    amount_micros: int
    since_ms: int
    stopped_at_ms: int | None
    stopped_why: str
    receipt_email: str


def find_payer(db: Db, tenant_id: str) -> Payer | None:
    """Return an organization as the processor knows it."""
    row = db.row(select(payer).where(payer.c.tenant_id == tenant_id))
    return None if row is None else _payer(row._mapping)


def list_auto_payers(db: Db, *, after_id: str, limit: int) -> list[Payer]:
    """Return the organizations whose card is charged by itself."""
    rows = db.rows(
        select(payer)
        .where(payer.c.auto_on == 1, payer.c.tenant_id > after_id)
        .order_by(payer.c.tenant_id)
        .limit(limit)
    )
    return [_payer(row._mapping) for row in rows]


def insert_payer(db: Db, tenant_id: str, customer_id: str) -> bool:
    """Note which customer an organization is; False if one is known already."""
    return db.insert_new(
        payer,
        {"tenant_id": tenant_id, "customer_id": customer_id, "receipt_email": "", **AUTO_OFF},
    )


def change_payer(db: Db, tenant_id: str, **values: Any) -> bool:
    """Give the row of a payer other values; False if there is none."""
    return db.write(update(payer).where(payer.c.tenant_id == tenant_id).values(**values)) == 1


def change_card(db: Db, tenant_id: str, card: Card | None) -> bool:
    """Keep another card, or none."""
    return change_payer(
        db,
        tenant_id,
        method_id=card and card.method_id,
        brand=card and card.brand,
        last4=card and card.last4,
        exp_month=card and card.exp_month,
        exp_year=card and card.exp_year,
    )


def find_top_up(db: Db, top_up_id: str) -> TopUp | None:
    """Return a top-up."""
    return _one(db, top_up.c.top_up_id == top_up_id)


def get_top_up(db: Db, top_up_id: str) -> TopUp:
    """Return a top-up that is known to be there."""
    found = find_top_up(db, top_up_id)
    assert found is not None
    return found


def find_by_nonce(db: Db, tenant_id: str, nonce: str) -> TopUp | None:
    """Return the top-up that a form made."""
    return _one(db, (top_up.c.tenant_id == tenant_id) & (top_up.c.nonce == nonce))


def find_by_session(db: Db, session_id: str) -> TopUp | None:
    """Return the top-up of a hosted page."""
    return _one(db, top_up.c.session_id == session_id)


def find_by_payment(db: Db, payment_id: str) -> TopUp | None:
    """Return the top-up of a payment."""
    return _one(db, top_up.c.payment_id == payment_id)


def find_by_charge(db: Db, charge_id: str) -> TopUp | None:
    """Return the top-up of a charge."""
    return _one(db, top_up.c.charge_id == charge_id)


def find_auto_in_flight(db: Db, tenant_id: str) -> TopUp | None:
    """Return the automatic top-up of an organization that has not ended."""
    return _one(
        db,
        (top_up.c.tenant_id == tenant_id)
        & (top_up.c.kind == "auto")
        & top_up.c.state.in_(OPEN_STATES),
    )


def count_started(db: Db, tenant_id: str, *, since_ms: int) -> int:
    """Return how many hosted pages an organization asked for since."""
    return int(
        db.value(
            select(func.count()).where(
                top_up.c.tenant_id == tenant_id,
                top_up.c.kind == "checkout",
                top_up.c.created_at_ms >= since_ms,
            )
        )
    )


def list_top_ups(
    db: Db,
    *,
    tenant_id: str | None = None,
    before: tuple[int, str] | None = None,
    limit: int,
) -> list[TopUp]:
    """Return top-ups, newest first, of one organization where named.

    before  (created_at_ms, top_up_id) of the last one of the page above
    """
    wanted = select(top_up)
    if tenant_id is not None:
        wanted = wanted.where(top_up.c.tenant_id == tenant_id)
    if before is not None:
        at_ms, last_id = before
        wanted = wanted.where(
            or_(
                top_up.c.created_at_ms < at_ms,
                (top_up.c.created_at_ms == at_ms) & (top_up.c.top_up_id < last_id),
            )
        )
    order = (top_up.c.created_at_ms.desc(), top_up.c.top_up_id.desc())
    rows = db.rows(wanted.order_by(*order).limit(limit))
    return [_top_up(row._mapping) for row in rows]


def list_open(db: Db, *, checked_before_ms: int, limit: int) -> list[TopUp]:
    """Return open top-ups that were not looked at since, the longest waiting first."""
    rows = db.rows(
        select(top_up)
        .where(top_up.c.state.in_(OPEN_STATES), top_up.c.checked_at_ms < checked_before_ms)
        .order_by(top_up.c.checked_at_ms)
        .limit(limit)
    )
    return [_top_up(row._mapping) for row in rows]


def list_recent(db: Db, tenant_id: str, *, since_ms: int, limit: int) -> list[TopUp]:
    """Return an organization's top-ups since, newest first."""
    rows = db.rows(
        select(top_up)
        .where(top_up.c.tenant_id == tenant_id, top_up.c.created_at_ms >= since_ms)
        .order_by(top_up.c.created_at_ms.desc())
        .limit(limit)
    )
    return [_top_up(row._mapping) for row in rows]


def insert_top_up(db: Db, made: TopUp) -> bool:
    """Insert a top-up; False if its form, or another automatic one in flight, is there already."""
    return db.insert_new(
        top_up,
        {
            "top_up_id": made.top_up_id,
            "tenant_id": made.tenant_id,
            "kind": made.kind,
            "nonce": made.nonce,
            "micros": made.micros,
            "state": made.state.value,
            "asked_by": made.asked_by,
            "receipt_email": made.receipt_email,
            "return_to": made.return_to,
            "method_id": made.method_id,
            "keep_card": int(made.keep_card),
            "session_url": made.session_url,
            "decline": made.decline,
            "why": made.why,
            "refunded_micros": 0,
            "tax_jurisdiction": made.tax.jurisdiction,
            "tax_micros": made.tax.micros,
            "created_at_ms": made.created_at_ms,
            "checked_at_ms": made.checked_at_ms,
        },
    )


def list_credited(db: Db) -> list[TopUp]:
    """Return every top-up that was credited, for a check of the books."""
    rows = db.rows(select(top_up).where(top_up.c.journal_id.is_not(None)))
    return [_top_up(row._mapping) for row in rows]


def insert_entry(db: Db, seen: Transaction, *, posted: bool, now_ms: int) -> bool:
    """Note a movement of our balance at the processor; False if it was noted before."""
    return db.insert_new(
        provider_entry,
        {
            "transaction_id": seen.transaction_id,
            "kind": seen.kind[:100],
            "micros": micros_of(seen.cents),
            "fee_micros": micros_of(seen.fee_cents),
            "net_micros": micros_of(seen.net_cents),
            "source_id": seen.source_id[:255],
            "created_at_ms": seen.created_at_ms,
            "noted_at_ms": now_ms,
            "posted": int(posted),
        },
    )


def change_top_up(db: Db, top_up_id: str, **values: Any) -> None:
    """Give a top-up other values; its state is moved by `move_top_up` alone."""
    assert "state" not in values
    db.write(update(top_up).where(top_up.c.top_up_id == top_up_id).values(**values))


def move_top_up(db: Db, top_up_id: str, *, before: State, after: State) -> bool:
    """Move a top-up; False if it was not in the state before."""
    return (
        db.write(
            update(top_up)
            .where(top_up.c.top_up_id == top_up_id, top_up.c.state == before.value)
            .values(state=after.value)
        )
        == 1
    )


def _one(db: Db, wanted: Any) -> TopUp | None:
    row = db.row(select(top_up).where(wanted))
    return None if row is None else _top_up(row._mapping)


def _top_up(row: RowMapping) -> TopUp:
    values = dict(row)
    for name in ("session_id", "payment_id", "charge_id"):
        values[name] = values[name] or ""
    values["tax"] = Tax(values.pop("tax_jurisdiction"), values.pop("tax_micros"))
    return TopUp(**{**values, "state": State(row["state"]), "keep_card": row["keep_card"] == 1})


def _payer(row: RowMapping) -> Payer:
    card = None
    if row["method_id"] is not None:
        card = Card(
            *(row[name] for name in ("method_id", "brand", "last4", "exp_month", "exp_year"))
        )
    return Payer(
        tenant_id=row["tenant_id"],
        customer_id=row["customer_id"],
        card=card,
        auto_on=row["auto_on"] == 1,
        threshold_micros=row["threshold_micros"],
        amount_micros=row["amount_micros"],
        since_ms=row["since_ms"],
        stopped_at_ms=row["stopped_at_ms"],
        stopped_why=row["stopped_why"],
        receipt_email=row["receipt_email"],
    )

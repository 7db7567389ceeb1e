"""SQL of what card payments, refunds, disputes and the processor's own list came to."""

from sqlalchemy import Row, select, text

from registry.store.database import Db
from registry.store.tables.payments import dispute, provider_entry, refund, top_up


def list_credited(db: Db) -> list[tuple[str, int]]:
    """Return payments that were credited, with what was credited."""
    rows = db.rows(
        select(top_up.c.payment_id, top_up.c.micros).where(top_up.c.journal_id.is_not(None))
    )
    return [(row.payment_id, row.micros) for row in rows]


def list_refunds(db: Db) -> list[tuple[str, int, str]]:
    """Return every refund's key, amount and state."""
    rows = db.rows(select(refund.c.refund_key, refund.c.micros, refund.c.state))
    return [(row.refund_key, row.micros, row.state) for row in rows]


def list_disputes(db: Db) -> list[tuple[str, int, str]]:
    """Return every dispute's id, amount and state."""
    rows = db.rows(select(dispute.c.dispute_id, dispute.c.micros, dispute.c.state))
    return [(row.dispute_id, row.micros, row.state) for row in rows]


def list_entries(db: Db) -> list[tuple[str, int, int, int]]:
    """Return the processor's own list: id, what moved, the fee of it, and both together."""
    at = provider_entry.c
    rows = db.rows(select(at.transaction_id, at.micros, at.fee_micros, at.net_micros))
    return [(row.transaction_id, row.micros, row.fee_micros, row.net_micros) for row in rows]


def list_fees_of_payments(db: Db) -> list[str]:
    """Return the keys of fees that were posted with a payment of ours."""
    rows: list[Row[tuple[str]]] = db.rows(
        text(
            "SELECT j.src FROM journal AS j JOIN top_up AS t ON t.top_up_id = j.ref "
            "WHERE j.kind = 'fee'"
        )
    )
    return [row.src for row in rows]

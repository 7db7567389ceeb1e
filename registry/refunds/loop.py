"""Refunds on their way: sent once, whatever is lost between the processor and our row."""

from registry.payments.provider import Payments
from registry.refunds.operations import send
from registry.refunds.queries import list_asked_refunds
from registry.store.database import Database

SENT_PER_PASS_MAX = 25


def send_asked(database: Database, payments: Payments, now_ms: int) -> int:
    """Send the refunds of which it is not known whether they were; return how many."""
    with database.reading() as db:
        rows = list_asked_refunds(db, limit=SENT_PER_PASS_MAX)
    for row in rows:
        send(database, payments, row.refund_key, now_ms=now_ms)
    return len(rows)

"""Refunds on their way, and disputes that are open: followed whether a webhook came or not."""

from registry.payments.provider import Payments
from registry.refunds.operations import note_dispute, send
from registry.refunds.queries import list_asked_refunds, list_disputes
from registry.store.database import Database

SENT_PER_PASS_MAX = 25
DISPUTES_PER_PASS_MAX = 50


def send_asked(database: Database, payments: Payments, now_ms: int) -> int:
    """Send the refunds of which it is not known whether they were; return how many."""
    with database.reading() as db:
        rows = list_asked_refunds(db, limit=SENT_PER_PASS_MAX)
    for row in rows:
        send(database, payments, row.refund_key, now_ms=now_ms)
    return len(rows)


def follow_disputes(database: Database, payments: Payments, now_ms: int) -> int:
    """Look at the disputes that are open; return how many.

    One that is lost moves no balance: a webhook that never came would leave it open for ever.
    """
    with database.reading() as db:
        rows = list_disputes(db, state="open", limit=DISPUTES_PER_PASS_MAX)
    for row in rows:
        seen = payments.find_dispute(row.dispute_id)
        if seen is not None:
            database.run(note_dispute, seen, now_ms=now_ms)
    return len(rows)

"""Webhooks that could not be worked on when they came."""

from registry.payment_events.operations import work_on
from registry.payment_events.queries import list_waiting_events
from registry.payments.provider import Payments
from registry.store.database import Database

EVENTS_PER_PASS_MAX = 50


def work_on_waiting(database: Database, payments: Payments, now_ms: int) -> int:
    """Work on the webhooks that wait and are due; return how many."""
    with database.reading() as db:
        waiting = list_waiting_events(db, now_ms=now_ms, limit=EVENTS_PER_PASS_MAX)
    for event, tries in waiting:
        work_on(database, payments, event, tries=tries, now_ms=now_ms)
    return len(waiting)

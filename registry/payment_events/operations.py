"""What a webhook is worked into: the object it names is fetched, and our rows follow that."""

import logging

from protocol.clock import HOUR_MS, SECOND_MS
from registry.payment_events import queries
from registry.payment_events.webhook import Event
from registry.payments.operations import note_seen
from registry.payments.provider import Payments, PaymentsAway, PaymentsRefused
from registry.payments.queries import find_by_session, find_top_up
from registry.refunds.operations import note_dispute, note_refund
from registry.settlement.operations import find_settled, settle
from registry.store.database import Database

log = logging.getLogger(__name__)

RETRY_MS = 5 * SECOND_MS
RETRY_MS_MAX = HOUR_MS
TRIES_MAX = 100
"""Three days and more: as long as the processor itself would have sent it again."""

WHY_CHARACTERS_MAX = 300


def work_on(
    database: Database, payments: Payments, event: Event, *, tries: int, now_ms: int
) -> bool:
    """Work on one webhook; False if it must be tried again, and when is noted."""
    try:
        _follow(database, payments, event, now_ms=now_ms)
    except (PaymentsAway, PaymentsRefused) as trouble:
        log.warning("webhook waits", extra={"event": event.event_id, "why": str(trouble)})
        pause_ms = min(RETRY_MS << min(tries, 20), RETRY_MS_MAX)
        ends = {"done_at_ms": now_ms} if tries >= TRIES_MAX else {}
        database.run(
            queries.change_event,
            event.event_id,
            tries=tries + 1,
            next_at_ms=now_ms + pause_ms,
            why=str(trouble)[:WHY_CHARACTERS_MAX],
            **ends,
        )
        return False
    database.run(queries.change_event, event.event_id, done_at_ms=now_ms, why="")
    return True


def _follow(database: Database, payments: Payments, event: Event, *, now_ms: int) -> None:
    if event.kind.startswith("checkout.session."):
        _follow_session(database, payments, event.object_id, now_ms=now_ms)
    elif event.kind.startswith("payment_intent."):
        payment = payments.find_payment(event.object_id)
        if payment is not None:
            find_settled(database, payments, payment, now_ms=now_ms)
    elif event.kind.startswith("refund."):
        refund = payments.find_refund(event.object_id)
        if refund is not None:
            settled_first(database, payments, refund.payment_id, now_ms=now_ms)
            database.run(note_refund, refund, now_ms=now_ms)
    else:
        dispute = payments.find_dispute(event.object_id)
        if dispute is not None:
            settled_first(database, payments, dispute.payment_id, now_ms=now_ms)
            database.run(note_dispute, dispute, now_ms=now_ms)


def _follow_session(
    database: Database, payments: Payments, session_id: str, *, now_ms: int
) -> None:
    with database.reading() as db:
        row = find_by_session(db, session_id)
    if row is not None:
        settle(database, payments, row.top_up_id, now_ms=now_ms)
        return
    # The page was paid before our row learned its id: the page itself says which row it is for.
    session = payments.find_session(session_id)
    if session is None:
        return
    with database.reading() as db:
        named = find_top_up(db, session.top_up_id)
    if named is not None and not named.session_id and named.cents == session.cents:
        database.run(note_seen, named.top_up_id, session, None, now_ms=now_ms)


def settled_first(database: Database, payments: Payments, payment_id: str, *, now_ms: int) -> None:
    """Credit a payment before what took it back is noted: webhooks keep no order."""
    payment = payments.find_payment(payment_id) if payment_id else None
    if payment is not None:
        find_settled(database, payments, payment, now_ms=now_ms)

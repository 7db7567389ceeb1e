"""Where our rows and the card processor meet: each step asks, then notes the answer in one unit.

`settle` is the one way in which a top-up moves on.  The webhook, the page to which a payer comes
back, and the background work all call it; it fetches and never believes what it was told.
"""

from protocol.clock import MINUTE_MS
from registry.payments import queries
from registry.payments.checkout import (
    CHECK_AGAIN_MS,
    PAGE_LIFE_MS,
    TopUp,
)
from registry.payments.operations import (
    AUTO,
    note_customer,
    note_failed,
    note_seen,
    note_unused,
)
from registry.payments.provider import (
    KEY_LIFE_MS,
    CardOrder,
    CheckoutOrder,
    Payment,
    Payments,
    PaymentsAway,
    PaymentsRefused,
    Session,
)
from registry.settlement.cards import Addresses
from registry.store.database import Database
from registry.tenants.queries import get_tenant

CLOCKS_APART_MS = 10 * MINUTE_MS


def open_page(
    database: Database, payments: Payments, row: TopUp, addresses: Addresses, *, now_ms: int
) -> TopUp:
    """Return the top-up with its hosted page, opened on the first call.

    Killed between the processor's answer and our row, the next call gets the same page by the same
    key.  Once keys are forgotten a page is looked for and no other is opened.
    """
    if row.session_id:
        return row
    if now_ms - row.created_at_ms >= KEY_LIFE_MS:
        return settle(database, payments, row.top_up_id, now_ms=now_ms)
    session = payments.open_checkout(_order(database, payments, row, addresses))
    return database.run(note_seen, row.top_up_id, session, None, now_ms=now_ms)


def settle(database: Database, payments: Payments, top_up_id: str, *, now_ms: int) -> TopUp:
    """Fetch what a top-up stands for and bring it to that; credits at most once, ever."""
    with database.reading() as db:
        row = queries.get_top_up(db, top_up_id)
        payer = queries.find_payer(db, row.tenant_id)
    session, payment = None, None
    if row.session_id:
        session = payments.find_session(row.session_id)
    elif row.payment_id:
        payment = payments.find_payment(row.payment_id)
    elif payer is not None and row.kind == AUTO:
        try:
            payment = charge(payments, row, payer.customer_id, now_ms=now_ms)
        except PaymentsRefused as refused:
            if refused.of_key:
                raise
            return database.run(note_failed, top_up_id, str(refused), now_ms=now_ms)
    else:
        session = None if payer is None else _lost_page(payments, row, payer.customer_id)
        if session is None and now_ms - row.created_at_ms >= KEY_LIFE_MS:
            return database.run(note_unused, top_up_id, now_ms=now_ms)
    return database.run(note_seen, row.top_up_id, session, payment, now_ms=now_ms)


def settle_if_due(
    database: Database, payments: Payments, row: TopUp, *, now_ms: int
) -> tuple[TopUp, bool]:
    """Settle for a page that polls, not more often than CHECK_AGAIN_MS.

    Return the top-up, and whether the processor could be asked.
    """
    if not row.is_open or now_ms - row.checked_at_ms < CHECK_AGAIN_MS:
        return row, True
    try:
        return settle(database, payments, row.top_up_id, now_ms=now_ms), True
    except (PaymentsAway, PaymentsRefused):
        return row, False


def find_settled(
    database: Database, payments: Payments, payment: Payment, *, now_ms: int
) -> TopUp | None:
    """Return the top-up of a payment, settled; None for a payment that is of none of ours.

    A payment may be seen before our row knows its id: its own words then name the row, and the
    row's amount decides, as always.
    """
    with database.reading() as db:
        row = queries.find_by_payment(db, payment.payment_id)
        if row is None:
            named = queries.find_top_up(db, payment.top_up_id)
            is_free = named is not None and not named.payment_id
            row = named if is_free else None
    if row is None:
        return None
    return database.run(note_seen, row.top_up_id, None, payment, now_ms=now_ms)


def charge(payments: Payments, row: TopUp, customer_id: str, *, now_ms: int) -> Payment:
    """Charge a saved card for a top-up: once, however often this is called."""
    order = CardOrder(
        top_up_id=row.top_up_id,
        customer_id=customer_id,
        method_id=row.method_id,
        cents=row.cents,
        description="Outstation automatic top-up",
        receipt_email=row.receipt_email,
    )
    if now_ms - row.created_at_ms >= KEY_LIFE_MS:
        since_ms = row.created_at_ms - CLOCKS_APART_MS
        found = payments.find_card_payment(order, since_ms=since_ms)
        if found is not None:
            return found
    return payments.pay_with_card(order)


def _order(
    database: Database, payments: Payments, row: TopUp, addresses: Addresses
) -> CheckoutOrder:
    with database.reading() as db:
        payer = queries.find_payer(db, row.tenant_id)
        name = get_tenant(db, row.tenant_id).name
    if payer is None:
        customer_id = payments.ensure_customer(row.tenant_id, name=name, email=row.receipt_email)
        database.run(note_customer, row.tenant_id, customer_id)
    else:
        customer_id = payer.customer_id
    return CheckoutOrder(
        top_up_id=row.top_up_id,
        customer_id=customer_id,
        cents=row.cents,
        description="Outstation top-up",
        receipt_email=row.receipt_email,
        success_url=addresses.back(row.top_up_id),
        cancel_url=addresses.cancelled(row.top_up_id),
        keep_card=row.keep_card,
        expires_at_ms=row.created_at_ms + PAGE_LIFE_MS,
    )


def _lost_page(payments: Payments, row: TopUp, customer_id: str) -> Session | None:
    """Return the page that was opened for a row that does not know it."""
    order = CheckoutOrder(
        top_up_id=row.top_up_id,
        customer_id=customer_id,
        cents=row.cents,
        description="",
        receipt_email="",
        success_url="",
        cancel_url="",
        keep_card=False,
        expires_at_ms=0,
    )
    return payments.find_checkout(order, since_ms=row.created_at_ms - CLOCKS_APART_MS)

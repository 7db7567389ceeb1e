"""Top-ups: begun, opened, and credited once for the payment that was made."""

from dataclasses import dataclass
from typing import Any

from protocol.clock import HOUR_MS
from protocol.ids import NewId
from protocol.money import show_amount
from protocol.refusal import Refusal
from registry.audit.operations import record
from registry.ledger.account_names import STRIPE
from registry.ledger.operations import credit_payment, post, taxed
from registry.ledger.postings import Journal
from registry.ledger.postings import top_up as top_up_journal
from registry.payments import queries
from registry.payments.checkout import (
    AMOUNT_MICROS_MAX,
    AMOUNT_MICROS_MIN,
    STARTED_PER_HOUR_MAX,
    Seen,
    State,
    TopUp,
    micros_of,
    mismatch,
    moved,
    seen_in,
)
from registry.payments.fees import fee_journal
from registry.payments.provider import Payment, Session
from registry.store.database import Db
from registry.tenants.roles import Actor

WHY_CHARACTERS_MAX = 300
AUTO = "auto"
CHECKOUT = "checkout"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks to pay.  nonce: the form's key;  return_to: where they came from"""

    micros: int
    nonce: str
    receipt_email: str
    return_to: str
    keep_card: bool


def begin(db: Db, wish: Wish, *, actor: Actor, now_ms: int, new_id: NewId) -> TopUp:
    """Return the top-up of a form, made on its first sending.

    Refuses an amount out of bounds, a form that was sent before with another amount, and too many
    hosted pages in an hour.
    """
    tenant_id = actor.tenant_id
    assert tenant_id is not None
    before = queries.find_by_nonce(db, tenant_id, wish.nonce)
    if before is not None:
        if (before.micros, before.keep_card) != (wish.micros, wish.keep_card):
            raise _form_reused()
        return before
    check_amount(wish.micros)
    started = queries.count_started(db, tenant_id, since_ms=now_ms - HOUR_MS)
    if started >= STARTED_PER_HOUR_MAX:
        raise _too_many()
    made = TopUp(
        top_up_id=new_id("top_up"),
        tenant_id=tenant_id,
        kind=CHECKOUT,
        nonce=wish.nonce,
        micros=wish.micros,
        state=State.CREATED,
        asked_by=actor.subject,
        receipt_email=wish.receipt_email,
        return_to=wish.return_to,
        keep_card=wish.keep_card,
        created_at_ms=now_ms,
        checked_at_ms=now_ms,
    )
    assert queries.insert_top_up(db, made)
    record(
        db,
        actor=actor,
        action="billing.top_up_begun",
        object_id=made.top_up_id,
        tenant_id=tenant_id,
        detail={"micros": made.micros},
        now_ms=now_ms,
    )
    return made


def note_customer(db: Db, tenant_id: str, customer_id: str) -> None:
    """Keep which customer of the processor an organization is."""
    if not queries.insert_payer(db, tenant_id, customer_id):
        known = queries.find_payer(db, tenant_id)
        assert known is not None
        assert known.customer_id == customer_id


def note_seen(
    db: Db, top_up_id: str, session: Session | None, payment: Payment | None, *, now_ms: int
) -> TopUp:
    """Bring a top-up to what was fetched of it; credit it if its payment succeeded.

    The journal's key is the payment's own id: seen twice, by whatever way, it is credited once.
    A payment that is not what the row asked for is never credited; `why` then says so.
    """
    row = queries.get_top_up(db, top_up_id)
    payment = payment or (session.payment if session else None)
    if payment is not None and row.payment_id not in ("", payment.payment_id):
        return row
    known = _ids(row, session, payment)
    if payment is not None:
        known |= {"decline": payment.decline, "why": payment.why}
        wrong = mismatch(row, payment)
        if wrong:
            queries.change_top_up(
                db, top_up_id, checked_at_ms=now_ms, **(known | {"why": f"Not credited: {wrong}."})
            )
            return queries.get_top_up(db, top_up_id)
    seen = seen_in(session, payment)
    if seen is Seen.PAID:
        known |= {"decline": "", "why": "", "confirmed_at_ms": row.confirmed_at_ms or now_ms}
    queries.change_top_up(db, top_up_id, checked_at_ms=now_ms, **known)
    move(db, row, seen)
    if seen is Seen.PAID:
        assert payment is not None
        _credit(db, queries.get_top_up(db, top_up_id), payment, now_ms=now_ms)
    return queries.get_top_up(db, top_up_id)


def note_unused(db: Db, top_up_id: str, *, now_ms: int) -> TopUp:
    """Note that no hosted page was ever opened for a top-up, and none will be."""
    queries.change_top_up(db, top_up_id, checked_at_ms=now_ms)
    move(db, queries.get_top_up(db, top_up_id), Seen.EXPIRED)
    return queries.get_top_up(db, top_up_id)


def note_failed(db: Db, top_up_id: str, why: str, *, now_ms: int) -> TopUp:
    """Note that the processor would not take a payment at all: there is none, and will be none."""
    note_trouble(db, top_up_id, why, now_ms=now_ms)
    move(db, queries.get_top_up(db, top_up_id), Seen.FAILED)
    return queries.get_top_up(db, top_up_id)


def note_trouble(db: Db, top_up_id: str, why: str, *, now_ms: int) -> None:
    """Note why a top-up could not be looked at, for whoever looks after payments."""
    queries.change_top_up(db, top_up_id, checked_at_ms=now_ms, why=why[:WHY_CHARACTERS_MAX])


def move(db: Db, row: TopUp, seen: Seen | None) -> None:
    """Move a top-up as the table says."""
    after = moved(row.state, seen)
    if after is not row.state:
        assert queries.move_top_up(db, row.top_up_id, before=row.state, after=after)


def paid_journal(row: TopUp) -> Journal:
    """Return the journal that a top-up which was credited comes to."""
    assert row.confirmed_at_ms is not None
    return top_up_journal(
        src=paid_src(row.payment_id),
        tenant_id=row.tenant_id,
        micros=row.micros,
        at_ms=row.confirmed_at_ms,
        into=STRIPE,
        memo="Top-up by card",
        tax=row.tax,
        ref=row.top_up_id,
    )


def check_amount(micros: int, *, field: str = "amount") -> None:
    """Refuse an amount that is not taken by card."""
    if not AMOUNT_MICROS_MIN <= micros <= AMOUNT_MICROS_MAX:
        least, most = show_amount(AMOUNT_MICROS_MIN), show_amount(AMOUNT_MICROS_MAX)
        raise Refusal(
            code="amount_out_of_range",
            status=422,
            message=f"{field}: from {least} to {most} by card.",
            hint="Correct the amount, or pay a larger one by bank transfer.",
            field=field,
        )


def _ids(row: TopUp, session: Session | None, payment: Payment | None) -> dict[str, Any]:
    """Return what becomes known of a top-up; what is known already never changes."""
    known: dict[str, Any] = {}
    if session is not None and not row.session_id:
        known |= {"session_id": session.session_id}
    if session is not None and session.url:
        known |= {"session_url": session.url}
    if payment is not None:
        known |= {"payment_id": payment.payment_id}
        if payment.charge_id:
            known |= {"charge_id": payment.charge_id}
    return known


def _credit(db: Db, row: TopUp, payment: Payment, *, now_ms: int) -> None:
    assert row.confirmed_at_ms is not None
    by = "saved card" if row.kind == AUTO else "card"
    tax = taxed(db, row.tenant_id, row.micros)
    journal_id = credit_payment(
        db,
        row.tenant_id,
        src=paid_src(payment.payment_id),
        micros=row.micros,
        into=STRIPE,
        memo=f"Top-up by {by}",
        ref=row.top_up_id,
        now_ms=row.confirmed_at_ms,
    )
    if journal_id is not None:
        queries.change_top_up(
            db,
            row.top_up_id,
            journal_id=journal_id,
            tax_jurisdiction=tax.jurisdiction,
            tax_micros=tax.micros,
        )
        if row.keep_card and payment.card is not None:
            queries.change_card(db, row.tenant_id, payment.card)
        record(
            db,
            actor="registry",
            action="billing.top_up_credited",
            object_id=row.top_up_id,
            tenant_id=row.tenant_id,
            detail={"micros": row.micros, "payment": payment.payment_id},
            now_ms=now_ms,
        )
    if payment.transaction is not None:
        queries.insert_entry(db, payment.transaction, posted=True, now_ms=now_ms)
        fee = fee_journal(payment.transaction, micros_of(payment.transaction.fee_cents))
        if fee is not None:
            post(db, fee)


def paid_src(payment_id: str) -> str:
    """Return the key under which a payment is credited."""
    return f"stripe:{payment_id}:succeeded"


def _form_reused() -> Refusal:
    return Refusal(
        code="idempotency_key_reused",
        status=409,
        message="This form was sent before with another amount.",
        hint="Open the page Add funds again; the earlier payment stands as it was begun.",
    )


def _too_many() -> Refusal:
    return Refusal(
        code="too_many_payments",
        status=429,
        message=f"{STARTED_PER_HOUR_MAX} payments were begun within an hour.",
        hint="Wait an hour, or pay by bank transfer.",
        retry_after_s=HOUR_MS // 1000,
    )

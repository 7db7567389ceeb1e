"""Money that goes back: refunds that we ask for or find made, and payments that a bank took back.

A refund leaves the wallet before it is sent, so that what is on its way cannot be spent as well;
if it is refused or fails, every leg is turned.
"""

from protocol.ids import NewId
from protocol.money import MICROS_PER_CENT, show_amount
from protocol.refusal import Refusal
from registry.audit.operations import record
from registry.ledger.operations import net, post
from registry.ledger.postings import Tax
from registry.ledger.queries import find_journal, get_balance
from registry.payments.checkout import PAID_STATES, Seen, State, TopUp, cents_of, micros_of
from registry.payments.operations import move
from registry.payments.provider import KEY_LIFE_MS, Dispute, Payments, PaymentsRefused, Refund
from registry.payments.queries import change_top_up, find_by_payment, get_top_up
from registry.refunds import queries
from registry.refunds.journals import (
    DisputeRow,
    RefundRow,
    closed_journal,
    dispute_src,
    opened_journal,
    refund_journal,
    refund_src,
    turned_journal,
)
from registry.refunds.portions import tax_back
from registry.store.database import Database, Db
from registry.tenants.roles import Actor

REASONS = ("requested_by_customer", "duplicate", "fraudulent")
BACK = frozenset({"failed", "canceled"})
"""States of a refund at the processor whose money did not arrive."""

BY_PROCESSOR = "processor"
WHY_CHARACTERS_MAX = 300
REASON_CHARACTERS_MAX = 100


def begin_refund(
    db: Db,
    top_up_id: str,
    *,
    micros: int,
    reason: str,
    actor: Actor,
    now_ms: int,
    new_id: NewId,
) -> RefundRow:
    """Take a refund out of the wallet, to be sent next.

    Refuses what is not paid or is disputed, more than is left of the payment, and more than the
    organization has and no node was promised.
    """
    row = get_top_up(db, top_up_id)
    _check_refundable(db, row, micros)
    key = new_id("refund")
    made = _inserted(db, key, row, micros, reason=reason, asked_by=actor.subject, now_ms=now_ms)
    record(
        db,
        actor=actor,
        action="billing.refund_asked",
        object_id=key,
        tenant_id=row.tenant_id,
        detail={"micros": micros, "top_up": top_up_id, "reason": reason},
        now_ms=now_ms,
    )
    return made


def send(database: Database, payments: Payments, refund_key: str, *, now_ms: int) -> RefundRow:
    """Send a refund that was begun, or find that it was sent; return it as it is then."""
    with database.reading() as db:
        row = queries.find_refund(db, refund_key)
        assert row is not None
        payment_id = get_top_up(db, row.top_up_id).payment_id
    if row.state != "asked":
        return row
    seen = None
    if now_ms - row.created_at_ms >= KEY_LIFE_MS:
        seen = payments.find_refund_made(refund_key, payment_id)
    try:
        seen = seen or payments.refund(
            refund_key, payment_id, cents=cents_of(row.micros), reason=row.reason
        )
    except PaymentsRefused as refused:
        database.run(note_refused, refund_key, str(refused), now_ms=now_ms)
    else:
        database.run(note_refund, seen, now_ms=now_ms)
    with database.reading() as db:
        after = queries.find_refund(db, refund_key)
    assert after is not None
    return after


def note_refund(db: Db, seen: Refund, *, now_ms: int) -> RefundRow | None:
    """Bring a refund to what was fetched of it, ours or one made at the processor by hand.

    None for a refund of a payment that is none of ours.
    """
    row = queries.find_refund_by_id(db, seen.refund_id) or queries.find_refund(db, seen.refund_key)
    if row is None:
        paid = find_by_payment(db, seen.payment_id)
        if paid is None or not paid.is_credited:
            return None
        micros = micros_of(seen.cents)
        row = _inserted(
            db,
            seen.refund_id,
            paid,
            micros,
            reason="requested_by_customer",
            asked_by=BY_PROCESSOR,
            now_ms=now_ms,
        )
    queries.change_refund(db, row.refund_key, refund_id=seen.refund_id)
    if seen.status in BACK:
        _turn(db, row, "failed", seen.why or seen.status, now_ms=now_ms)
    elif row.state == "asked":
        queries.change_refund(db, row.refund_key, state="sent")
    return queries.find_refund(db, row.refund_key)


def note_refused(db: Db, refund_key: str, why: str, *, now_ms: int) -> None:
    """Note that the processor would not send a refund: the money is the wallet's again."""
    row = queries.find_refund(db, refund_key)
    assert row is not None
    if row.state == "asked":
        _turn(db, row, "refused", why, now_ms=now_ms)


def note_dispute(db: Db, seen: Dispute, *, now_ms: int) -> DisputeRow | None:
    """Bring a dispute to what was fetched of it; None for one of a payment that is none of ours.

    The books move when the processor moved our balance, not when a bank asks a question.
    """
    paid = find_by_payment(db, seen.payment_id)
    if paid is None or not paid.is_credited:
        return None
    if seen.withdrawn_cents and queries.find_dispute(db, seen.dispute_id) is None:
        _open(db, seen, paid, now_ms=now_ms)
    row = queries.find_dispute(db, seen.dispute_id)
    if row is None or row.state != "open":
        return row
    queries.change_dispute(db, row.dispute_id, due_at_ms=seen.due_at_ms)
    if seen.status in ("won", "lost"):
        _close(db, row, seen, now_ms=now_ms)
    return queries.find_dispute(db, seen.dispute_id)


def _check_refundable(db: Db, row: TopUp, micros: int) -> None:
    if row.state is not State.SUCCEEDED or not row.is_credited:
        raise Refusal(
            code="not_refundable",
            status=409,
            message=f"This payment is {row.state.value.replace('_', ' ')}.",
            hint="Only a payment that succeeded and is not disputed can be refunded.",
        )
    left = row.micros - row.refunded_micros
    if not 0 < micros <= left or micros % MICROS_PER_CENT:
        raise Refusal(
            code="amount_out_of_range",
            status=422,
            message=f"amount: whole cents, at most the {show_amount(left)} left of the payment.",
            hint="Correct the amount; nothing was refunded.",
            field="amount",
        )
    balance = get_balance(db, row.tenant_id)
    tax = _tax_in(row, micros)
    unspent = min(balance.wallet, max(balance.available, 0))
    if micros - tax.micros > unspent:
        raise Refusal(
            code="balance_spent",
            status=409,
            message=f"amount: only {show_amount(unspent)} is neither spent nor promised to nodes.",
            hint="Refund less, or wait until the nodes have given back what they hold.",
            field="amount",
        )


def _inserted(
    db: Db, key: str, row: TopUp, micros: int, *, reason: str, asked_by: str, now_ms: int
) -> RefundRow:
    inserted = queries.insert_refund(
        db,
        refund_key=key,
        top_up_id=row.top_up_id,
        micros=micros,
        tax_micros=_tax_in(row, micros).micros,
        state="asked",
        reason=reason,
        asked_by=asked_by,
        why="",
        created_at_ms=now_ms,
    )
    assert inserted
    found = queries.find_refund(db, key)
    assert found is not None
    post(db, refund_journal(found, row, wallet=get_balance(db, row.tenant_id).wallet))
    refunded = row.refunded_micros + micros
    change_top_up(db, row.top_up_id, refunded_micros=refunded)
    if refunded >= row.micros:
        move(db, row, Seen.REFUNDED)
    return found


def _turn(db: Db, row: RefundRow, state: str, why: str, *, now_ms: int) -> None:
    original = find_journal(db, refund_src(row.refund_key))
    assert original is not None
    turned = turned_journal(original, at_ms=now_ms)
    if post(db, turned) is None:
        return
    queries.change_refund(
        db, row.refund_key, state=state, why=why[:WHY_CHARACTERS_MAX], ended_at_ms=now_ms
    )
    paid = get_top_up(db, row.top_up_id)
    net(db, paid.tenant_id, cause=turned.src, now_ms=now_ms)
    change_top_up(db, row.top_up_id, refunded_micros=paid.refunded_micros - row.micros)
    move(db, paid, Seen.REFUND_FAILED)


def _open(db: Db, seen: Dispute, paid: TopUp, *, now_ms: int) -> None:
    micros = micros_of(seen.withdrawn_cents)
    queries.insert_dispute(
        db,
        dispute_id=seen.dispute_id,
        top_up_id=paid.top_up_id,
        tenant_id=paid.tenant_id,
        micros=micros,
        tax_micros=_tax_in(paid, micros).micros,
        fee_micros=micros_of(seen.fee_cents),
        fee_returned_micros=0,
        state="open",
        reason=seen.reason[:REASON_CHARACTERS_MAX],
        due_at_ms=seen.due_at_ms,
        opened_at_ms=now_ms,
    )
    row = queries.find_dispute(db, seen.dispute_id)
    assert row is not None
    post(db, opened_journal(row, paid, wallet=get_balance(db, paid.tenant_id).wallet))
    assert paid.state in PAID_STATES
    move(db, paid, Seen.DISPUTE_OPENED)
    detail: dict[str, str | int] = {"micros": micros, "top_up": paid.top_up_id}
    _note(db, row, "billing.dispute_opened", detail, now_ms=now_ms)


def _close(db: Db, row: DisputeRow, seen: Dispute, *, now_ms: int) -> None:
    queries.change_dispute(
        db,
        row.dispute_id,
        state=seen.status,
        closed_at_ms=now_ms,
        fee_returned_micros=micros_of(seen.fee_returned_cents),
    )
    closed = queries.find_dispute(db, row.dispute_id)
    opened = find_journal(db, dispute_src(row.dispute_id))
    assert closed is not None
    assert opened is not None
    paid = get_top_up(db, row.top_up_id)
    journal = closed_journal(closed, paid, opened)
    post(db, journal)
    net(db, row.tenant_id, cause=journal.src, now_ms=now_ms)
    move(db, paid, Seen.DISPUTE_WON if seen.status == "won" else Seen.DISPUTE_LOST)
    _note(db, row, f"billing.dispute_{seen.status}", {}, now_ms=now_ms)


def _note(
    db: Db, row: DisputeRow, action: str, detail: dict[str, str | int], *, now_ms: int
) -> None:
    record(
        db,
        actor="registry",
        action=action,
        object_id=row.dispute_id,
        tenant_id=row.tenant_id,
        detail=detail,
        now_ms=now_ms,
    )


def _tax_in(paid: TopUp, micros: int) -> Tax:
    # A refund that is still on its way may yet be refused: then a bank takes the whole payment.
    before = max(0, min(paid.refunded_micros, paid.micros - micros))
    return tax_back(paid.tax, whole=paid.micros, before=before, micros=micros)

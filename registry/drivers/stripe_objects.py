"""Objects that Stripe's SDK returns, in the product's own words.

They come untyped: which parts are there whole and which as an id depends on what was asked for.
"""

from typing import Any

from registry.payments.provider import Card, Dispute, Payment, Refund, Session, Transaction

TOP_UP_ID = "top_up_id"
REFUND_KEY = "refund_key"
PAYOUT_ID = "payout_id"
"""Names under which our own ids are written on Stripe's objects."""


def session_of(made: Any) -> Session:
    intent = made.payment_intent
    return Session(
        session_id=made.id,
        url=made.url or "",
        status=made.status or "",
        cents=made.amount_total or 0,
        currency=made.currency or "",
        livemode=made.livemode,
        expires_at_ms=made.expires_at * 1000,
        top_up_id=made.client_reference_id or "",
        payment=None if intent is None or isinstance(intent, str) else payment_of(intent),
    )


def payment_of(made: Any) -> Payment:
    charge = None if isinstance(made.latest_charge, str) else made.latest_charge
    error = made.last_payment_error
    moved = None if charge is None else charge.balance_transaction
    return Payment(
        payment_id=made.id,
        status=made.status,
        cents=made.amount,
        received_cents=made.amount_received,
        currency=made.currency,
        livemode=made.livemode,
        created_at_ms=made.created * 1000,
        customer_id=id_of(made.customer),
        top_up_id=about(made).get(TOP_UP_ID, ""),
        charge_id=id_of(made.latest_charge),
        refunded_cents=0 if charge is None else charge.amount_refunded,
        disputed=False if charge is None else charge.disputed,
        decline="" if error is None else error.decline_code or error.code or "declined",
        why="" if error is None else error.message or "",
        card=card_of(made.payment_method),
        transaction=None if moved is None or isinstance(moved, str) else transaction_of(moved),
    )


def card_of(method: Any) -> Card | None:
    if method is None or isinstance(method, str) or method.type != "card":
        return None
    card = method.card
    return Card(method.id, card.brand, card.last4, card.exp_month, card.exp_year)


def transaction_of(made: Any) -> Transaction:
    return Transaction(
        transaction_id=made.id,
        kind=made.type,
        cents=made.amount,
        fee_cents=made.fee,
        net_cents=made.net,
        currency=made.currency,
        source_id=id_of(made.source),
        created_at_ms=made.created * 1000,
    )


def refund_of(made: Any) -> Refund:
    return Refund(
        refund_id=made.id,
        payment_id=id_of(made.payment_intent),
        cents=made.amount,
        currency=made.currency,
        status=made.status or "",
        refund_key=about(made).get(REFUND_KEY, ""),
        why=getattr(made, "failure_reason", None) or "",
    )


def dispute_of(made: Any) -> Dispute:
    moved = made.balance_transactions
    due = made.evidence_details.due_by
    return Dispute(
        dispute_id=made.id,
        payment_id=id_of(made.payment_intent),
        cents=made.amount,
        currency=made.currency,
        status=made.status,
        reason=made.reason,
        due_at_ms=None if due is None else due * 1000,
        withdrawn_cents=sum(-one.amount for one in moved if one.amount < 0),
        fee_cents=sum(one.fee for one in moved if one.fee > 0),
        fee_returned_cents=sum(-one.fee for one in moved if one.fee < 0),
    )


def about(made: Any) -> dict[str, str]:
    """Return what we wrote on an object when it was made."""
    return {} if made.metadata is None else dict(made.metadata.to_dict())


def id_of(found: Any) -> str:
    """Return the id of an object, whether it was sent whole, as its id or not at all."""
    if found is None:
        return ""
    return found if isinstance(found, str) else str(found.id)

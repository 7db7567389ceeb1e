"""The list of payments, the kept card, and the rule by which it is charged by itself."""

from contextlib import suppress

from flask import Blueprint, current_app, redirect, render_template
from flask.typing import ResponseReturnValue

from protocol.money import MICROS_PER_UNIT
from registry.auto_top_up.operations import forget_card, switch_off, switch_on
from registry.payments.checkout import AMOUNT_MICROS_MAX, AMOUNT_MICROS_MIN
from registry.payments.provider import PaymentsAway
from registry.payments.queries import find_payer, list_top_ups
from registry.server.forms import read_choice, read_count, refilled
from registry.server.page import shell
from registry.server.paging import PAGE_ROWS, cursor, page_of
from registry.server.session import actor, db, now_ms, signed_in
from registry.settlement.cards import EXTENSION, Cards
from registry.settlement.panels import kept_card, payment_row
from registry.tenants.roles import may, not_found, require
from web.view_models.parts import Choice, Form
from web.view_models.payments import PaymentsPage

ON, OFF = "on", "off"
THRESHOLD_UNITS_MAX = 10_000

pages = Blueprint("auto_top_up", __name__)


def _payments_page(*, form: Form | None = None) -> str:
    require(actor(), "billing.view")
    tenant_id = actor().tenant_id
    assert tenant_id is not None
    with db().reading():
        payer = find_payer(db(), tenant_id)
        rows = list_top_ups(db(), tenant_id=tenant_id, before=_before(), limit=PAGE_ROWS + 1)
    shown, paging = page_of(rows, lambda row: (row.created_at_ms, row.top_up_id))
    card = payer.card if payer else None
    known = {
        "rule": ON if payer and payer.auto_on else OFF,
        "threshold": str(payer.threshold_micros // MICROS_PER_UNIT or 10) if payer else "10",
        "amount": str(payer.amount_micros // MICROS_PER_UNIT or 50) if payer else "50",
    }
    page = PaymentsPage(
        now_ms=now_ms(),
        rows=tuple(payment_row(row) for row in shown),
        paging=paging,
        card=kept_card(card.brand, card.last4, card.exp_month, card.exp_year) if card else None,
        can_pay=may(actor(), "billing.top_up"),
        cards=_cards().payments is not None,
        auto_on=payer is not None and payer.auto_on,
        rules=(Choice(ON, "On"), Choice(OFF, "Off")),
        stopped=payer.stopped_why if payer else "",
        form=form or Form(values=known),
    )
    return render_template("registry/billing/payments.html", page=page, shell=shell())


@pages.get("/billing/payments")
@signed_in
def show_payments() -> ResponseReturnValue:
    """Return every payment of the organization, newest first, and the card that it kept."""
    return _payments_page()


@pages.post("/billing/auto-top-up")
@signed_in
@refilled(_payments_page)
def change_rule() -> ResponseReturnValue:
    """Set or end the rule by which the kept card is charged."""
    require(actor(), "billing.top_up")
    if read_choice("rule", (ON, OFF), label="Automatic top-ups") == OFF:
        with db().unit():
            switch_off(db(), actor=actor(), now_ms=now_ms())
        return redirect("/billing/payments", code=303)
    most, least = AMOUNT_MICROS_MAX // MICROS_PER_UNIT, AMOUNT_MICROS_MIN // MICROS_PER_UNIT
    threshold = read_count("threshold", label="The threshold", least=1, most=THRESHOLD_UNITS_MAX)
    amount = read_count("amount", label="The amount", least=least, most=most)
    with db().unit():
        switch_on(
            db(),
            threshold=threshold * MICROS_PER_UNIT,
            micros=amount * MICROS_PER_UNIT,
            receipt_email=actor().email,
            actor=actor(),
            now_ms=now_ms(),
        )
    return redirect("/billing/payments", code=303)


@pages.post("/billing/card/forget")
@signed_in
def forget() -> ResponseReturnValue:
    """Keep the card no more, here and at the processor."""
    require(actor(), "billing.top_up")
    with db().unit():
        method_id = forget_card(db(), actor=actor(), now_ms=now_ms())
    payments = _cards().payments
    if payments is not None and method_id:
        # Without an answer the card is gone here all the same, and nothing can charge it.
        with suppress(PaymentsAway):
            payments.forget_card(method_id)
    return redirect("/billing/payments", code=303)


def _cards() -> Cards:
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, Cards)
    return found


def _before() -> tuple[int, str] | None:
    match cursor():
        case None:
            return None
        case (int(at_ms), str(top_up_id)):
            return at_ms, top_up_id
    raise not_found("This page of the payments")

"""Pages on which money is added by card: the form, and the way back from the hosted page."""

import re

from flask import (
    Blueprint,
    Response,
    current_app,
    make_response,
    redirect,
    render_template,
    request,
)
from flask.typing import ResponseReturnValue

from protocol.ids import is_id
from protocol.money import MICROS_PER_UNIT
from protocol.refusal import Refusal
from registry.ledger.queries import get_balance
from registry.payments.checkout import AMOUNT_MICROS_MAX, AMOUNT_MICROS_MIN, TopUp
from registry.payments.operations import Wish, begin
from registry.payments.provider import PaymentsAway, PaymentsRefused
from registry.payments.queries import find_top_up
from registry.server.forms import (
    field_refused,
    read_choice,
    read_count,
    read_field,
    refilled,
    safe_next,
)
from registry.server.headers import leading_to
from registry.server.idempotency import sent_key
from registry.server.live import is_part_wanted, live_answer
from registry.server.page import shell
from registry.server.session import actor, db, frame, new_id, now_ms, signed_in
from registry.server.settings import settings
from registry.settlement.cards import EXTENSION, Cards
from registry.settlement.operations import open_page, settle_if_due
from registry.settlement.panels import return_page
from registry.tenants.roles import not_found, require
from web.view_models.parts import Choice, Form
from web.view_models.payments import CheckoutPage

AMOUNTS = ("25", "50", "100")
OTHER = "other"
ONCE, KEEP = "once", "keep"
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")

pages = Blueprint("settlement", __name__)


def cards() -> Cards:
    """Return what paying by card needs."""
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, Cards)
    return found


def _checkout_page(*, form: Form) -> str:
    require(actor(), "billing.top_up")
    tenant_id = _tenant_id()
    with db().reading():
        balance = get_balance(db(), tenant_id)
    page = CheckoutPage(
        balance_micros=balance.total,
        cards=cards().payments is not None,
        idempotency_key=form.value("idempotency_key") or new_id("request"),
        amounts=(*(Choice(amount, f"${amount}") for amount in AMOUNTS), Choice(OTHER, "Other")),
        keeping=(
            Choice(ONCE, "Only this time"),
            Choice(KEEP, "Keep the card", "For automatic top-ups, which you set under Payments."),
        ),
        form=form,
        return_to=safe_next(form.value("return_to") or "/billing"),
        transfer=settings().bank_transfer,
        reference=tenant_id,
        test=not cards().livemode,
    )
    return render_template("registry/billing/checkout.html", page=page, shell=shell())


@pages.get("/billing/checkout")
@signed_in
def show_checkout() -> ResponseReturnValue:
    """Return the form; where no card is taken, whom to ask and how to transfer money."""
    values = {
        "amount": AMOUNTS[1],
        "card": ONCE,
        "receipt_email": actor().email,
        "return_to": request.args.get("return_to", "/billing"),
    }
    return _leading(make_response(_checkout_page(form=Form(values=values))))


@pages.post("/billing/checkout")
@signed_in
def pay() -> ResponseReturnValue:
    """Lead on to the processor's page for this amount; sent twice, it is one payment."""
    return _leading(make_response(_begun()))


@refilled(_checkout_page)
def _begun() -> ResponseReturnValue:
    require(actor(), "billing.top_up")
    payments = cards().payments
    if payments is None:
        raise _no_cards()
    wish = _wish()
    with db().unit():
        row = begin(db(), wish, actor=actor(), now_ms=now_ms(), new_id=new_id)
    try:
        row = open_page(frame().database, payments, row, cards().addresses, now_ms=now_ms())
    except PaymentsRefused as refused:
        raise _not_taken() from refused
    if row.is_open and row.session_url:
        return redirect(row.session_url, code=303)
    return redirect(f"/billing/return?s={row.top_up_id}", code=303)


@pages.get("/billing/continue")
@signed_in
def go_on_paying() -> ResponseReturnValue:
    """Lead back to the hosted page of a payment that is still open."""
    require(actor(), "billing.top_up")
    row = _own_top_up(request.args.get("s", ""))
    if row.is_open and row.session_url:
        return redirect(row.session_url, code=303)
    return redirect(f"/billing/return?s={row.top_up_id}", code=303)


@pages.get("/billing/return")
@signed_in
def show_return() -> ResponseReturnValue:
    """Return how far a payment is; asked again while it is on its way."""
    require(actor(), "billing.view")
    row = _own_top_up(request.args.get("s", ""))
    payments, asked = cards().payments, True
    if payments is not None:
        row, asked = settle_if_due(frame().database, payments, row, now_ms=now_ms())
    cancelled = request.args.get("cancelled") == "1"
    page = return_page(row, cancelled=cancelled, asked=asked, now_ms=now_ms())
    whole, part = "registry/billing/return.html", "registry/billing/_return.html"
    answer = live_answer(whole, part, page=page, shell=shell)
    if is_part_wanted() and not page.is_open:
        # The balance and its banner stand outside the part that refreshes itself.
        answer = Response(status=200, headers={"HX-Refresh": "true"})
    return answer


def _own_top_up(top_up_id: str) -> TopUp:
    with db().reading():
        row = find_top_up(db(), top_up_id) if is_id(top_up_id, "top_up") else None
    if row is None or row.tenant_id != actor().tenant_id:
        raise not_found("This payment")
    return row


def _wish() -> Wish:
    email = read_field("receipt_email", label="The receipt's address")
    if EMAIL.fullmatch(email) is None:
        raise field_refused("receipt_email", "Write an e-mail address, or leave it as it was.")
    return Wish(
        micros=_units() * MICROS_PER_UNIT,
        nonce=sent_key(),
        receipt_email=email,
        return_to=safe_next(request.form.get("return_to", "/billing")),
        keep_card=read_choice("card", (ONCE, KEEP), label="The card") == KEEP,
    )


def _units() -> int:
    if read_choice("amount", (*AMOUNTS, OTHER), label="How much") != OTHER:
        return int(request.form["amount"])
    if not request.form.get("other_amount", "").strip():
        raise field_refused("other_amount", "Say how much, in whole dollars.")
    least, most = AMOUNT_MICROS_MIN // MICROS_PER_UNIT, AMOUNT_MICROS_MAX // MICROS_PER_UNIT
    return read_count("other_amount", label="The amount", least=least, most=most)


def _leading(answer: Response) -> Response:
    if cards().payments is None:
        return answer
    return leading_to(answer, cards().checkout_origin)


def _tenant_id() -> str:
    tenant_id = actor().tenant_id
    assert tenant_id is not None
    return tenant_id


def _no_cards() -> Refusal:
    return Refusal(
        code="payments_not_set_up",
        status=409,
        message="Payments by card are not set up here.",
        hint="Pay by bank transfer as this page says, or ask the operator of this registry.",
    )


def _not_taken() -> PaymentsAway:
    return PaymentsAway("the processor refused to open a page")

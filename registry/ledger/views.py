"""The page on which money is added."""

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from protocol.money import MICROS_PER_UNIT
from protocol.refusal import Refusal
from registry.audit.operations import record
from registry.ledger.operations import add_funds
from registry.ledger.queries import get_balance
from registry.server.forms import field_refused, read_choice, read_count, refilled, safe_next
from registry.server.idempotency import Kept, once, sent_key
from registry.server.page import shell
from registry.server.session import actor, db, new_id, now_ms, signed_in
from registry.server.settings import settings
from registry.tenants.roles import require
from web.view_models.billing import AddFundsPage
from web.view_models.parts import Choice, Form

AMOUNTS = ("25", "50", "100")
OTHER = "other"
UNITS_MAX = 10_000
DEMO_MEMO = "Added funds (demo payment, no money moved)"

pages = Blueprint("ledger", __name__)


def _add_funds_page(*, form: Form) -> str:
    require(actor(), "billing.top_up")
    tenant_id = actor().tenant_id
    assert tenant_id is not None
    with db().reading():
        balance = get_balance(db(), tenant_id)
    page = AddFundsPage(
        balance_micros=balance.total,
        idempotency_key=form.value("idempotency_key") or new_id("request"),
        amounts=(*(Choice(amount, f"${amount}") for amount in AMOUNTS), Choice(OTHER, "Other")),
        form=form,
        demo=settings().demo,
        return_to=safe_next(form.value("return_to") or "/billing"),
        transfer=settings().bank_transfer,
        reference=tenant_id,
    )
    return render_template("registry/billing/add_funds.html", page=page, shell=shell())


@pages.get("/billing/add-funds")
@signed_in
def show_add_funds() -> ResponseReturnValue:
    """Return the form of a demo, or how to transfer money; where cards are taken, lead there."""
    if settings().cards and not settings().demo:
        return redirect(f"/billing/checkout?{request.query_string.decode()}".rstrip("?"), code=303)
    return_to = request.args.get("return_to", "/billing")
    return _add_funds_page(form=Form(values={"amount": AMOUNTS[1], "return_to": return_to}))


@pages.post("/billing/add-funds")
@signed_in
@refilled(_add_funds_page)
def add_demo_funds() -> ResponseReturnValue:
    """Post a demo payment, which says so in the ledger; sent twice, it is posted once."""
    require(actor(), "billing.top_up")
    if not settings().demo:
        raise _no_cards()
    units = _units()
    with db().unit():
        kept = once(lambda: _added(units))
    return redirect(kept.body, code=303)


def _units() -> int:
    if read_choice("amount", (*AMOUNTS, OTHER), label="How much") != OTHER:
        return int(request.form["amount"])
    if not request.form.get("other_amount", "").strip():
        raise field_refused("other_amount", "Say how much, in whole dollars.")
    return read_count("other_amount", label="The amount", least=1, most=UNITS_MAX)


def _added(units: int) -> Kept:
    who = actor()
    assert who.tenant_id is not None
    add_funds(
        db(),
        who.tenant_id,
        src=f"demo:{who.tenant_id}:{sent_key()}",
        micros=units * MICROS_PER_UNIT,
        memo=DEMO_MEMO,
        now_ms=now_ms(),
    )
    record(
        db(),
        actor=who,
        action="billing.top_up_demo",
        object_id=who.tenant_id,
        tenant_id=who.tenant_id,
        detail={"micros": units * MICROS_PER_UNIT},
        now_ms=now_ms(),
    )
    return Kept(303, safe_next(request.form.get("return_to", "/billing")))


def _no_cards() -> Refusal:
    return Refusal(
        code="payments_off_line",
        status=409,
        message="This registry takes no payments on its pages.",
        hint="Pay by bank transfer as the page Add funds says.",
    )

"""Calls by which money comes in: customers, Checkout Sessions, PaymentIntents, charges, cards."""

from tests.fakes.stripe import shapes
from tests.fakes.stripe.account import TEST_CARDS, StripeSaysNo
from tests.fakes.stripe.calls import (
    Answer,
    Call,
    check_amount,
    expanded,
    invalid,
    kept,
    matches,
    page,
)
from tests.fakes.stripe.shapes import Object


def new_customer(call: Call) -> Object:
    made = shapes.customer(call.account.new_id("cus"), created=call.account.now, params=call.params)
    return kept(call, made)


def new_session(call: Call) -> Object:
    params, account = call.params, call.account
    if params.get("mode") != "payment" or "success_url" not in params:
        raise invalid("mode and success_url are needed", "mode")
    if not params.get("line_items"):
        raise invalid("line_items is needed", "line_items")
    if "customer" in params:
        account.get(params["customer"], "customer")
    total = sum(one["price_data"]["unit_amount"] * one["quantity"] for one in params["line_items"])
    check_amount(total)
    made = shapes.session(
        account.new_id("cs_test"),
        created=account.now,
        params=params,
        total=total,
        base_url=account.base_url,
    )
    # Not part of the object that Stripe shows; it shapes the intent that is made on payment.
    account.objects[made["id"]] = {
        **made,
        "payment_intent_data": params.get("payment_intent_data", {}),
    }
    return made


def show_session(call: Call) -> Object:
    call.account.open_pages()
    return _shown_session(call, call.account.get(call.object_id, "checkout.session"))


def _shown_session(call: Call, session: Object) -> Object:
    shown = {name: value for name, value in session.items() if name != "payment_intent_data"}
    if "payment_intent" in expanded(call) and shown["payment_intent"]:
        shown["payment_intent"] = _shown_intent(
            call, call.account.get(shown["payment_intent"], "payment_intent"), "payment_intent."
        )
    return shown


def list_sessions(call: Call) -> Object:
    call.account.open_pages()
    found = [
        _shown_session(call, one)
        for one in call.account.of_kind("checkout.session")
        if matches(call, one, "customer", "payment_intent", "status")
    ]
    return page(call, found)


def expire_session(call: Call) -> Object:
    return _shown_session(call, call.account.expire(call.object_id))


def new_intent(call: Call) -> Object:
    params, account = call.params, call.account
    check_amount(params["amount"])
    if not (params.get("confirm") and params.get("off_session")):
        raise invalid("the fake takes off-session payments alone", "confirm")
    account.get(params["customer"], "customer")
    method = account.get(params["payment_method"], "payment_method")
    if method["customer"] != params["customer"]:
        raise invalid("The payment method does not belong to the customer.", "payment_method")
    made = account.new_intent(
        amount=params["amount"],
        currency=params["currency"],
        customer_id=params["customer"],
        metadata=params.get("metadata", {}),
        receipt_email=params.get("receipt_email"),
    )
    account.confirm(made, method)
    trouble = made["last_payment_error"]
    if trouble is not None:
        raise StripeSaysNo(
            402,
            "card_error",
            trouble["message"],
            code=trouble["code"],
            decline_code=trouble["decline_code"],
            payment_intent=dict(made),
        )
    return _shown_intent(call, made)


def show_intent(call: Call) -> Object:
    return _shown_intent(call, call.account.get(call.object_id, "payment_intent"))


def _shown_intent(call: Call, intent: Object, under: str = "") -> Object:
    wanted, account, shown = expanded(call), call.account, dict(intent)
    if f"{under}latest_charge" in wanted and shown["latest_charge"]:
        charge = dict(account.get(shown["latest_charge"], "charge"))
        if f"{under}latest_charge.balance_transaction" in wanted and charge["balance_transaction"]:
            charge["balance_transaction"] = account.objects[charge["balance_transaction"]]
        shown["latest_charge"] = charge
    if f"{under}payment_method" in wanted and shown["payment_method"]:
        shown["payment_method"] = account.get(shown["payment_method"], "payment_method")
    return shown


def list_intents(call: Call) -> Object:
    found = [
        _shown_intent(call, one)
        for one in call.account.of_kind("payment_intent")
        if matches(call, one, "customer")
    ]
    return page(call, found)


def cancel_intent(call: Call) -> Object:
    intent = call.account.get(call.object_id, "payment_intent")
    if intent["status"] in ("succeeded", "canceled", "processing"):
        raise StripeSaysNo(
            400,
            "invalid_request_error",
            f"You cannot cancel this PaymentIntent because it is {intent['status']}.",
            code="payment_intent_unexpected_state",
        )
    intent.update(status="canceled", canceled_at=call.account.now)
    call.account.report("payment_intent.canceled", intent)
    return intent


def show(kind: str) -> Answer:
    return lambda call: call.account.get(call.object_id, kind)


def show_charge(call: Call) -> Object:
    shown = dict(call.account.get(call.object_id, "charge"))
    if "balance_transaction" in expanded(call) and shown["balance_transaction"]:
        shown["balance_transaction"] = call.account.objects[shown["balance_transaction"]]
    return shown


def attach_method(call: Call) -> Object:
    """Keep one of the cards of Stripe's test mode with a customer."""
    method = call.account.new_card(TEST_CARDS[call.object_id])
    method["customer"] = call.account.get(call.params["customer"], "customer")["id"]
    return method


def forget_method(call: Call) -> Object:
    method = call.account.get(call.object_id, "payment_method")
    method["customer"] = None
    return method

"""Calls by which money leaves or is counted: refunds, transfers, transactions, balance."""

from tests.fakes.stripe import shapes
from tests.fakes.stripe.account import OWN_ACCOUNT, StripeSaysNo
from tests.fakes.stripe.calls import Call, expanded, invalid, kept, matches, page
from tests.fakes.stripe.shapes import Object


def new_refund(call: Call) -> Object:
    params, account = call.params, call.account
    intent = account.get(params["payment_intent"], "payment_intent")
    if intent["latest_charge"] is None:
        raise invalid("This PaymentIntent has no successful charge.", "payment_intent")
    of = account.get(intent["latest_charge"], "charge")
    left = of["amount"] - of["amount_refunded"]
    amount = params.get("amount", left)
    if of["disputed"]:
        raise StripeSaysNo(
            400,
            "invalid_request_error",
            "The charge has been charged back.",
            code="charge_disputed",
        )
    if not 0 < amount <= left:
        raise StripeSaysNo(
            400,
            "invalid_request_error",
            "The refund is greater than what is left of the charge.",
            code="charge_already_refunded" if left == 0 else "amount_too_large",
        )
    made = shapes.refund(
        account.new_id("re"), created=account.now, of=of, amount=amount, params=params
    )
    made["balance_transaction"] = account.moved("refund", -amount, made["id"])["id"]
    of["amount_refunded"] += amount
    of["refunded"] = of["amount_refunded"] == of["amount"]
    account.objects[made["id"]] = made
    account.report("refund.created", made)
    account.report("charge.refunded", of)
    return made


def list_refunds(call: Call) -> Object:
    found = [one for one in call.account.of_kind("refund") if matches(call, one, "payment_intent")]
    return page(call, found)


def list_disputes(call: Call) -> Object:
    found = [one for one in call.account.of_kind("dispute") if matches(call, one, "payment_intent")]
    return page(call, found)


def list_transactions(call: Call) -> Object:
    return page(call, list(reversed(call.account.transactions)))


def show_transaction(call: Call) -> Object:
    shown = dict(call.account.get(call.object_id, "balance_transaction"))
    if "source" in expanded(call) and shown["source"] in call.account.objects:
        shown["source"] = call.account.objects[shown["source"]]
    return shown


def show_balance(call: Call) -> Object:
    if call.on_behalf:
        return shapes.balance(call.account.connected_cents[call.on_behalf])
    return shapes.balance(call.account.balance_cents)


def show_own_account(call: Call) -> Object:
    return shapes.connected_account(OWN_ACCOUNT, created=call.account.now, params={})


def new_transfer(call: Call) -> Object:
    params, account = call.params, call.account
    account.get(params["destination"], "account")
    if params["amount"] > account.balance_cents:
        raise StripeSaysNo(
            400,
            "invalid_request_error",
            "You have insufficient available funds in your Stripe account.",
            code="balance_insufficient",
        )
    made = shapes.transfer(account.new_id("tr"), created=account.now, params=params)
    made["balance_transaction"] = account.moved("transfer", -made["amount"], made["id"])["id"]
    account.connected_cents[params["destination"]] += made["amount"]
    account.objects[made["id"]] = made
    account.report("transfer.created", made)
    return made


def list_transfers(call: Call) -> Object:
    found = [
        one
        for one in call.account.of_kind("transfer")
        if matches(call, one, "transfer_group", "destination")
    ]
    return page(call, found)


def reverse_transfer(call: Call) -> Object:
    account = call.account
    of = account.get(call.object_id, "transfer")
    amount = call.params.get("amount", of["amount"] - of["amount_reversed"])
    if amount > account.connected_cents[of["destination"]]:
        raise StripeSaysNo(
            400,
            "invalid_request_error",
            "The connected account has insufficient funds for the reversal.",
            code="balance_insufficient",
        )
    account.connected_cents[of["destination"]] -= amount
    of["amount_reversed"] += amount
    of["reversed"] = of["amount_reversed"] == of["amount"]
    made = shapes.transfer_reversal(
        account.new_id("trr"), created=account.now, of=of, amount=amount
    )
    made["balance_transaction"] = account.moved("transfer_refund", amount, made["id"])["id"]
    of["reversals"]["data"].append(made)
    account.report("transfer.reversed", of)
    return kept(call, made)


def new_account(call: Call) -> Object:
    made = shapes.connected_account(
        call.account.new_id("acct"), created=call.account.now, params=call.params
    )
    call.account.connected_cents[made["id"]] = 0
    return kept(call, made)

"""The calls of Stripe's API that the product makes, each with the SDK's type of its parameters."""

from re import Match, compile

import stripe.params as types
from stripe.params.checkout import (
    SessionCreateParams,
    SessionExpireParams,
    SessionListParams,
    SessionRetrieveParams,
)

from tests.fakes.stripe import inward, outward
from tests.fakes.stripe.account import StripeSaysNo
from tests.fakes.stripe.calls import Answer, Route


def _route(method: str, path: str, kind: type | None, answer: Answer) -> Route:
    return Route(method, compile(path.replace("{id}", "([A-Za-z0-9_]+)")), kind, answer)


ROUTES = (
    _route("POST", "/v1/customers", types.CustomerCreateParams, inward.new_customer),
    _route("GET", "/v1/customers/{id}", types.CustomerRetrieveParams, inward.show("customer")),
    _route("POST", "/v1/checkout/sessions", SessionCreateParams, inward.new_session),
    _route("GET", "/v1/checkout/sessions", SessionListParams, inward.list_sessions),
    _route("GET", "/v1/checkout/sessions/{id}", SessionRetrieveParams, inward.show_session),
    _route("POST", "/v1/checkout/sessions/{id}/expire", SessionExpireParams, inward.expire_session),
    _route("POST", "/v1/payment_intents", types.PaymentIntentCreateParams, inward.new_intent),
    _route("GET", "/v1/payment_intents", types.PaymentIntentListParams, inward.list_intents),
    _route(
        "GET", "/v1/payment_intents/{id}", types.PaymentIntentRetrieveParams, inward.show_intent
    ),
    _route(
        "POST",
        "/v1/payment_intents/{id}/cancel",
        types.PaymentIntentCancelParams,
        inward.cancel_intent,
    ),
    _route("GET", "/v1/charges/{id}", types.ChargeRetrieveParams, inward.show_charge),
    _route(
        "GET",
        "/v1/payment_methods/{id}",
        types.PaymentMethodRetrieveParams,
        inward.show("payment_method"),
    ),
    _route(
        "POST",
        "/v1/payment_methods/{id}/attach",
        types.PaymentMethodAttachParams,
        inward.attach_method,
    ),
    _route(
        "POST",
        "/v1/payment_methods/{id}/detach",
        types.PaymentMethodDetachParams,
        inward.forget_method,
    ),
    _route("POST", "/v1/refunds", types.RefundCreateParams, outward.new_refund),
    _route("GET", "/v1/refunds", types.RefundListParams, outward.list_refunds),
    _route("GET", "/v1/refunds/{id}", types.RefundRetrieveParams, inward.show("refund")),
    _route("GET", "/v1/disputes", types.DisputeListParams, outward.list_disputes),
    _route("GET", "/v1/disputes/{id}", types.DisputeRetrieveParams, inward.show("dispute")),
    _route(
        "GET",
        "/v1/balance_transactions",
        types.BalanceTransactionListParams,
        outward.list_transactions,
    ),
    _route(
        "GET",
        "/v1/balance_transactions/{id}",
        types.BalanceTransactionRetrieveParams,
        outward.show_transaction,
    ),
    _route("GET", "/v1/balance", types.BalanceRetrieveParams, outward.show_balance),
    _route("GET", "/v1/events/{id}", types.EventRetrieveParams, inward.show("event")),
    _route("GET", "/v1/account", None, outward.show_own_account),
    _route("POST", "/v1/accounts", types.AccountCreateParams, outward.new_account),
    _route("GET", "/v1/accounts/{id}", types.AccountRetrieveParams, inward.show("account")),
    _route("POST", "/v1/transfers", types.TransferCreateParams, outward.new_transfer),
    _route("GET", "/v1/transfers", types.TransferListParams, outward.list_transfers),
    _route("GET", "/v1/transfers/{id}", types.TransferRetrieveParams, inward.show("transfer")),
    _route(
        "POST",
        "/v1/transfers/{id}/reversals",
        types.TransferCreateReversalParams,
        outward.reverse_transfer,
    ),
)


def find_route(method: str, path: str) -> tuple[Route, Match[str]]:
    """Return what answers, or what Stripe says of an address it does not know."""
    for route in ROUTES:
        found = route.path.fullmatch(path)
        if route.method == method and found is not None:
            return route, found
    raise StripeSaysNo(404, "invalid_request_error", f"Unrecognized request URL ({method}: {path})")

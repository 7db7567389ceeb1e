"""Payments on Stripe: the same sentences hold on the fake, and in Stripe's test mode with a key."""

import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import stripe

from protocol.clock import HOUR_MS
from registry.drivers.stripe_payments import StripePayments
from registry.payments.provider import CardOrder, CheckoutOrder, PaymentsAway, PaymentsRefused
from tests.conftest import STRIPE_KEY_VARIABLE
from tests.fakes.stripe.contract import ContractBroken, checked, read_form
from tests.fakes.stripe.deliveries import NEXT_SECRET, SECRET, signature_of
from tests.fakes.stripe.faults import Fault
from tests.fakes.stripe.server import API_KEY, FakeStripe, running_stripe

URL = "https://registry.example/billing/return"


@dataclass(frozen=True, slots=True)
class Side:
    """A Stripe account to ask: ours by the driver, and the SDK itself for what customers do."""

    payments: StripePayments
    sdk: stripe.StripeClient
    customer_id: str

    def order(self, cents: int = 5000) -> CheckoutOrder:
        return CheckoutOrder(
            top_up_id=f"tu_{secrets.token_hex(12)}",
            customer_id=self.customer_id,
            cents=cents,
            description="Outstation top-up",
            receipt_email="ana@umoja.example",
            success_url=URL,
            cancel_url=URL,
            keep_card=True,
            expires_at_ms=wall_ms() + HOUR_MS,
        )

    def card_order(self, card: str, cents: int = 2500) -> CardOrder:
        """An order on a card that was saved just now."""
        method = self.sdk.v1.payment_methods.attach(card, {"customer": self.customer_id})
        return CardOrder(
            top_up_id=f"tu_{secrets.token_hex(12)}",
            customer_id=self.customer_id,
            method_id=method.id,
            cents=cents,
            description="Outstation automatic top-up",
            receipt_email="",
        )


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with running_stripe(wall_ms) as running:
        yield running


@pytest.fixture(params=["fake", pytest.param("live", marks=pytest.mark.stripe_live)])
def side(request: pytest.FixtureRequest) -> Side:
    """A fake account, and Stripe's test mode where a key is in the environment."""
    if request.param == "live":
        key = os.environ[STRIPE_KEY_VARIABLE]
        assert key.startswith(("sk_test_", "rk_test_")), "never with a live key"
        return _side(key, "")
    return _side(API_KEY, request.getfixturevalue("fake").base_url)


def test_the_same_order_opens_one_page(side: Side) -> None:
    order = side.order()

    first, again = side.payments.open_checkout(order), side.payments.open_checkout(order)

    assert first.session_id == again.session_id
    assert (first.status, first.cents, first.currency) == ("open", 5000, "usd")
    assert first.top_up_id == order.top_up_id
    assert first.url.startswith("http")
    assert first.livemode is False


def test_a_key_with_another_amount_is_refused(side: Side) -> None:
    order = side.order()
    side.payments.open_checkout(order)

    with pytest.raises(PaymentsRefused):
        side.payments.open_checkout(replace(order, cents=order.cents + 1))


def test_a_page_is_found_by_its_order_and_by_its_id(side: Side) -> None:
    order = side.order()
    opened = side.payments.open_checkout(order)

    by_order = side.payments.find_checkout(order, since_ms=wall_ms() - HOUR_MS)
    by_id = side.payments.find_session(opened.session_id)

    assert by_order is not None
    assert by_id is not None
    assert by_order.session_id == by_id.session_id == opened.session_id
    assert side.payments.find_checkout(side.order(), since_ms=wall_ms() - HOUR_MS) is None


def test_a_closed_page_has_expired_and_closing_it_again_says_so(side: Side) -> None:
    opened = side.payments.open_checkout(side.order())

    closed = side.payments.close_checkout(opened.session_id)
    again = side.payments.close_checkout(opened.session_id)

    assert closed is not None
    assert again is not None
    assert closed.status == again.status == "expired"


def test_a_saved_card_is_charged_once_for_an_order(side: Side) -> None:
    order = side.card_order("pm_card_visa")

    paid, again = side.payments.pay_with_card(order), side.payments.pay_with_card(order)
    found = side.payments.find_card_payment(order, since_ms=wall_ms() - HOUR_MS)

    assert paid.status == "succeeded"
    assert found is not None
    assert paid.payment_id == again.payment_id == found.payment_id
    assert (paid.cents, paid.received_cents, paid.currency) == (2500, 2500, "usd")
    assert paid.card is not None
    assert paid.card.last4 == "4242"
    assert paid.top_up_id == order.top_up_id
    assert paid.transaction is not None
    assert paid.transaction.cents == 2500
    assert paid.transaction.net_cents == 2500 - paid.transaction.fee_cents


def test_a_declined_card_is_a_payment_that_did_not_succeed(side: Side) -> None:
    declined = side.payments.pay_with_card(side.card_order("pm_card_chargeCustomerFail"))

    assert declined.status == "requires_payment_method"
    assert declined.decline
    assert declined.received_cents == 0
    canceled = side.payments.cancel_payment(declined.payment_id)
    assert canceled is not None
    assert canceled.status == "canceled"


def test_a_refund_is_made_once_for_a_key_and_never_beyond_the_payment(side: Side) -> None:
    paid = side.payments.pay_with_card(side.card_order("pm_card_visa"))
    key = f"rf_{secrets.token_hex(12)}"

    first, again = (
        side.payments.refund(key, paid.payment_id, cents=1000, reason="requested_by_customer")
        for _ in range(2)
    )

    assert first.refund_id == again.refund_id
    assert (first.cents, first.payment_id) == (1000, paid.payment_id)
    found = side.payments.find_refund_made(key, paid.payment_id)
    assert found is not None
    assert found.refund_id == first.refund_id
    assert side.payments.find_refund(first.refund_id) is not None
    after = side.payments.find_payment(paid.payment_id)
    assert after is not None
    assert after.refunded_cents == 1000
    with pytest.raises(PaymentsRefused):
        side.payments.refund(
            f"{key}-2", paid.payment_id, cents=1501, reason="requested_by_customer"
        )


def test_what_does_not_exist_is_not_found(side: Side) -> None:
    assert side.payments.find_session("cs_test_none") is None
    assert side.payments.find_payment("pi_none") is None
    assert side.payments.find_refund("re_none") is None
    assert side.payments.find_dispute("dp_none") is None


def test_movements_after_one_come_oldest_first(side: Side) -> None:
    orders = [side.card_order("pm_card_visa", cents) for cents in (1100, 1200, 1300)]
    paid = [side.payments.pay_with_card(order).transaction for order in orders]
    assert paid[0] is not None

    page = side.payments.list_transactions(after_id=paid[0].transaction_id, limit=1)

    assert [one.cents for one in page.transactions] == [1200]
    assert page.has_more
    rest = side.payments.list_transactions(after_id=page.transactions[-1].transaction_id, limit=100)
    assert 1300 in [one.cents for one in rest.transactions]
    assert isinstance(side.payments.balance_cents(), int)


def test_an_answer_that_was_lost_is_had_again_and_nothing_is_done_twice(fake: FakeStripe) -> None:
    side = _side(API_KEY, fake.base_url)
    for fault in (Fault.DROPPED, Fault.BROKEN, Fault.REFUSED):
        order = side.card_order("pm_card_visa")
        fake.faults.plan("POST /v1/payment_intents", fault)

        with pytest.raises(PaymentsAway):
            side.payments.pay_with_card(order)
        side.payments.pay_with_card(order)

    assert [one["amount"] for one in fake.account.of_kind("charge")] == [2500] * 3


def test_the_sdk_itself_asks_again_with_the_same_key(fake: FakeStripe) -> None:
    side = _side(API_KEY, fake.base_url, retries=1)
    order = side.card_order("pm_card_visa")
    fake.faults.plan("POST /v1/payment_intents", Fault.DROPPED)

    paid = side.payments.pay_with_card(order)

    assert paid.status == "succeeded"
    assert len(list(fake.account.of_kind("charge"))) == 1
    keys = [key for method, path, key in fake.asked if path == "/v1/payment_intents"]
    assert keys == [order.top_up_id] * 2


def test_a_wrong_key_is_a_fault_of_the_operator(fake: FakeStripe) -> None:
    payments = StripePayments("sk_test_wrong", secrets=(), api_base=fake.base_url, retries=0)

    with pytest.raises(PaymentsRefused):
        payments.balance_cents()


def test_webhooks_are_signed_with_either_secret_over_the_very_bytes(fake: FakeStripe) -> None:
    payments = StripePayments(API_KEY, secrets=(SECRET, NEXT_SECRET), api_base=fake.base_url)
    body = b'{"id": "evt_1"}'

    for secret in (SECRET, NEXT_SECRET):
        assert payments.is_signed(body, signature_of(body, at_s=1, secret=secret))
    good = signature_of(body, at_s=1)
    for bad in (
        signature_of(body, at_s=1, secret="whsec_other"),
        good.replace("t=1", "t=2"),
        good.replace("v1=", "v0="),
        "",
        "t=1",
        "t=,v1=",
        "t=x,v1=0",
        "\xff",
    ):
        assert not payments.is_signed(body, bad)
    assert not payments.is_signed(body + b" ", good)
    assert not payments.is_signed(b"\xff\xfe", good)


def test_a_request_that_stripe_would_not_take_is_named_by_its_path() -> None:
    form = "mode=payment&line_items[0][price_data][currncy]=usd&line_items[0][quantity]=one&x=1"

    with pytest.raises(ContractBroken) as broken:
        checked(read_form(form), stripe.params.checkout.SessionCreateParams)

    assert sorted(broken.value.lines) == [
        "$.line_items[0].price_data.currency: missing",
        "$.line_items[0].price_data.currncy: unknown",
        "$.line_items[0].quantity: 'one' is no int",
        "$.x: unknown",
    ]


def test_the_fake_shows_no_field_that_the_sdk_does_not_know(fake: FakeStripe) -> None:
    side = _side(API_KEY, fake.base_url)
    paid = side.payments.pay_with_card(side.card_order("pm_card_visa"))
    page = side.payments.open_checkout(side.order())
    fake.account.pay(page.session_id)
    side.payments.refund("rf_shape", paid.payment_id, cents=1, reason="duplicate")
    fake.account.dispute(fake.account.objects[page.session_id]["payment_intent"])
    kinds = {
        "account": stripe.Account,
        "balance_transaction": stripe.BalanceTransaction,
        "charge": stripe.Charge,
        "checkout.session": stripe.checkout.Session,
        "customer": stripe.Customer,
        "dispute": stripe.Dispute,
        "event": stripe.Event,
        "payment_intent": stripe.PaymentIntent,
        "payment_method": stripe.PaymentMethod,
        "refund": stripe.Refund,
    }

    unknown = {
        (made["object"], name)
        for made in fake.account.objects.values()
        for name in made.keys() - kinds[made["object"]].__annotations__.keys()
    }

    assert unknown <= {("checkout.session", "payment_intent_data")}


def _side(key: str, api_base: str, *, retries: int = 0) -> Side:
    payments = StripePayments(key, secrets=(SECRET,), api_base=api_base, retries=retries)
    base = {"api": api_base} if api_base else {}
    sdk = stripe.StripeClient(key, base_addresses=base)  # type: ignore[arg-type]
    tenant_id = f"t_{secrets.token_hex(12)}"
    customer_id = payments.ensure_customer(tenant_id, name="Umoja", email="ana@umoja.example")
    return Side(payments, sdk, customer_id)

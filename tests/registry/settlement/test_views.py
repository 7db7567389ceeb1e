"""Adding funds by card, as whoever pays sees it."""

import pytest

from protocol.clock import DAY_MS, HOUR_MS, SECOND_MS
from registry.payments.checkout import STARTED_PER_HOUR_MAX, State
from tests.fakes.stripe.faults import Fault
from tests.registry.rig import Rig
from tests.registry.till import Till, tenant_of

FIFTY = 50_000_000


def test_a_payment_is_credited_when_its_payer_comes_back(till: Till) -> None:
    ana = till.rig.member()
    session_id = till.paid(ana)
    till.rig.clock.forward(5 * SECOND_MS)

    page = till.come_back(ana, session_id)

    assert "$50.00 is credited." in page.text
    assert "Confirmed by Stripe" in page.text
    assert "Credited, ledger entry 1" in page.text
    assert 'href="/launch"' in page.text
    assert till.balance(tenant_of(till)).available == FIFTY
    assert till.at_stripe() == till.stripe.account.balance_cents * 10_000


def test_the_form_sent_twice_is_one_payment(till: Till) -> None:
    ana = till.rig.member()

    first = till.begin(ana, idempotency_key="one-form-only")
    again = till.begin(ana, idempotency_key="one-form-only")
    other = till.begin(ana, "100", idempotency_key="one-form-only")

    assert till.session_of(first) == till.session_of(again)
    assert other.status_code == 409
    assert len(till.top_ups()) == 1
    assert len(list(till.stripe.account.of_kind("checkout.session"))) == 1


@pytest.mark.parametrize("fault", [Fault.DROPPED, Fault.BROKEN, Fault.REFUSED])
@pytest.mark.parametrize("call", ["POST /v1/customers", "POST /v1/checkout/sessions"])
def test_a_lost_answer_is_said_and_the_form_sent_again_goes_on(
    till: Till, call: str, fault: Fault
) -> None:
    ana = till.rig.member()
    till.stripe.faults.plan(call, fault)

    lost = till.begin(ana, idempotency_key="one-form-only")
    again = till.begin(ana, idempotency_key="one-form-only")

    assert lost.status_code == 503
    assert "nothing is paid twice" in lost.text
    till.session_of(again)
    assert len(list(till.stripe.account.of_kind("checkout.session"))) == 1
    assert len(list(till.stripe.account.of_kind("customer"))) == 1


def test_nobody_is_credited_without_paying(till: Till) -> None:
    ana = till.rig.member()
    session_id = till.session_of(till.begin(ana))
    till.rig.clock.forward(5 * SECOND_MS)

    open_page = till.come_back(ana, session_id).text
    till.stripe.account.pay(session_id, "pm_poor")
    till.rig.clock.forward(5 * SECOND_MS)
    refused = till.come_back(ana, session_id).text
    cancelled = ana.get(f"/billing/return?s={till.top_ups()[0].top_up_id}&cancelled=1").text

    again = ana.get(f"/billing/continue?s={till.top_ups()[0].top_up_id}")

    assert till.session_of(again) == session_id
    assert "$50.00 is on its way." in open_page
    assert "Card refused: insufficient funds." in refused
    assert "hx-get" in refused
    assert "Card refused" in cancelled
    assert till.balance(tenant_of(till)).available == 0


def test_a_page_that_expired_says_so_and_asks_no_more(till: Till) -> None:
    ana = till.rig.member()
    session_id = till.session_of(till.begin(ana))
    till.stripe.account.expire(session_id)
    till.rig.clock.forward(5 * SECOND_MS)

    page = till.come_back(ana, session_id).text

    assert "The payment page has expired." in page
    assert "Nothing was charged." in page
    assert "hx-get" not in page.partition('id="payment"')[2].partition(">")[0]


def test_a_page_that_polls_asks_stripe_seldom_and_ends_in_a_new_page(till: Till) -> None:
    ana = till.rig.member()
    session_id = till.session_of(till.begin(ana))
    till.come_back(ana, session_id)
    asked = len(till.stripe.asked)
    for _ in range(5):
        till.come_back(ana, session_id)
    assert len(till.stripe.asked) == asked

    till.stripe.account.pay(session_id)
    till.rig.clock.forward(2 * SECOND_MS)
    path = f"/billing/return?s={till.top_ups()[0].top_up_id}"
    answer = ana.get(path, HX_Request="true")

    assert answer.headers["HX-Refresh"] == "true"


def test_a_delayed_payment_is_credited_when_it_clears(till: Till) -> None:
    ana = till.rig.member()
    session_id = till.paid(ana, card="pm_bank")
    till.rig.clock.forward(5 * SECOND_MS)
    waiting = till.come_back(ana, session_id).text
    (intent,) = till.stripe.account.of_kind("payment_intent")

    till.stripe.account.clear(intent["id"], succeeds=True)
    till.rig.clock.forward(3 * DAY_MS)
    till.work()

    assert "is on its way" in waiting
    assert till.top_ups()[0].state is State.SUCCEEDED
    assert till.balance(tenant_of(till)).available == FIFTY


def test_amounts_are_whole_and_within_bounds(till: Till) -> None:
    ana = till.rig.member()

    good = till.begin(ana, "other", other_amount="7")
    refused = [
        till.begin(ana, "other", other_amount=text)
        for text in ("", "-1", "0", "4", "1e9", "٣", "10001", "0.5", "1" * 400)
    ]
    unknown = [till.begin(ana, text) for text in ("1000000", "-50", "50.0", "")]

    assert till.session_of(good)
    assert {answer.status_code for answer in refused} == {422}
    assert all('href="#f-other_amount"' in answer.text for answer in refused)
    assert {answer.status_code for answer in unknown} == {422}
    assert len(till.top_ups()) == 1


def test_whoever_tries_many_cards_is_stopped(till: Till) -> None:
    ana = till.rig.member()
    for _ in range(STARTED_PER_HOUR_MAX):
        till.session_of(till.begin(ana))

    stopped = till.begin(ana)
    till.rig.clock.forward(HOUR_MS + 1)

    assert stopped.status_code == 429
    assert till.session_of(till.begin(ana))


def test_only_who_may_pay_pays_and_nobody_sees_the_payment_of_others(till: Till) -> None:
    ana, ben = till.rig.member(), till.rig.member("ben@other.example")
    session_id = till.paid(ana)
    stranger = till.come_back(ben, session_id)
    with till.rig.database.unit() as db:
        db.connection.exec_driver_sql("DELETE FROM member_role WHERE role <> 'owner'")
        db.connection.exec_driver_sql("UPDATE member_role SET role = 'viewer'")

    viewer = till.begin(ana)

    assert stranger.status_code == 404
    assert viewer.status_code == 403
    assert ana.get("/billing/return?s=nonsense").status_code == 404


def test_adding_funds_leads_to_the_card_and_the_policy_lets_it_lead_on(till: Till) -> None:
    ana = till.rig.member()

    led = ana.get("/billing/add-funds?return_to=/launch")
    page = ana.get("/billing/checkout")
    refused = till.begin(ana, "other", other_amount="x")
    elsewhere = ana.get("/billing")

    assert led.headers["Location"] == "/billing/checkout?return_to=/launch"
    wider = f"form-action 'self' {till.stripe.base_url};"
    assert wider in page.headers["Content-Security-Policy"]
    assert wider in refused.headers["Content-Security-Policy"]
    assert "form-action 'self';" in elsewhere.headers["Content-Security-Policy"]
    assert "Test mode: no real card is charged." in page.text


def test_without_a_processor_the_page_says_whom_to_ask(rig: Rig) -> None:
    ana = rig.member()

    page = ana.get("/billing/checkout").text
    answer = ana.post(
        "/billing/checkout", amount="50", receipt_email="ana@umoja.example", card="once"
    )
    webhook = rig.app.test_client().post("/api/stripe/webhook", base_url="https://registry.example")

    assert "Payments by card are not set up here." in page
    assert "Ask the operator of this registry" in page
    assert "By bank transfer" in page
    assert answer.status_code == 409
    assert webhook.status_code == 404


def test_stripe_away_is_said_on_the_page_that_polls(till: Till) -> None:
    ana = till.rig.member()
    session_id = till.paid(ana)
    till.rig.clock.forward(5 * SECOND_MS)
    till.stripe.faults.plan("GET /v1/checkout", Fault.REFUSED)

    away = till.come_back(ana, session_id).text
    till.rig.clock.forward(5 * SECOND_MS)
    back = till.come_back(ana, session_id).text

    assert "The card processor does not answer." in away
    assert "$50.00 is credited." in back

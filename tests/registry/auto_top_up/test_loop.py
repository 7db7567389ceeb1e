"""A kept card is charged by itself, once at a time, and not without end."""

import pytest

from protocol.clock import DAY_MS, MINUTE_MS, SECOND_MS
from registry.payments.checkout import State
from registry.payments.queries import find_payer
from tests.fakes.stripe.faults import Fault
from tests.registry.rig import Browser
from tests.registry.till import Till, tenant_of

RULE = {"rule": "on", "threshold": "100", "amount": "50"}
FIFTY = 50_000_000


def _kept(till: Till) -> Browser:
    browser = till.rig.member()
    answer = till.begin(browser, card="keep")
    till.stripe.account.pay(till.session_of(answer))
    till.deliver_all()
    return browser


def test_a_card_is_kept_only_when_that_was_chosen(till: Till) -> None:
    ana = till.rig.member()
    till.paid(ana)
    till.deliver_all()
    without = ana.get("/billing/payments").text
    refused = ana.post("/billing/auto-top-up", **RULE)

    till.stripe.account.pay(till.session_of(till.begin(ana, card="keep")))
    till.deliver_all()
    kept = ana.get("/billing/payments").text

    assert "No card is kept." in without
    assert refused.status_code == 409
    assert "Visa ending in 4242" in kept
    assert "08/2030" in kept


def test_a_low_balance_is_topped_up_until_it_suffices(till: Till) -> None:
    ana = _kept(till)
    assert ana.post("/billing/auto-top-up", **RULE).status_code == 303

    for _ in range(4):
        till.rig.clock.forward(2 * MINUTE_MS)
        till.work()

    autos = [one for one in till.top_ups() if one.kind == "auto"]
    assert [one.state for one in autos] == [State.SUCCEEDED]
    assert till.balance(tenant_of(till)).available == 2 * FIFTY
    assert "Automatic top-up" in ana.get("/billing/payments").text


@pytest.mark.parametrize("fault", [Fault.DROPPED, Fault.BROKEN, Fault.REFUSED])
def test_a_lost_answer_charges_the_card_once(till: Till, fault: Fault) -> None:
    ana = _kept(till)
    ana.post("/billing/auto-top-up", **RULE)
    till.stripe.faults.plan("POST /v1/payment_intents", fault)

    for _ in range(3):
        till.rig.clock.forward(31 * SECOND_MS)
        till.work()

    assert len(list(till.stripe.account.of_kind("charge"))) == 2
    assert till.balance(tenant_of(till)).available == 2 * FIFTY


def test_after_keys_are_forgotten_the_payment_is_looked_for(till: Till) -> None:
    ana = _kept(till)
    ana.post("/billing/auto-top-up", **RULE)
    till.stripe.faults.plan("POST /v1/payment_intents", Fault.DROPPED)
    till.rig.clock.forward(MINUTE_MS)
    till.work()

    till.rig.clock.forward(3 * DAY_MS)
    till.work()

    assert len(list(till.stripe.account.of_kind("charge"))) == 2
    assert till.balance(tenant_of(till)).available == 2 * FIFTY


def test_two_refusals_stop_it_and_the_page_says_so(till: Till) -> None:
    ana = _kept(till)
    ana.post("/billing/auto-top-up", **RULE)
    _spoil(till, "pm_poor")

    for _ in range(6):
        till.rig.clock.forward(11 * MINUTE_MS)
        till.work()

    autos = [one for one in till.top_ups() if one.kind == "auto"]
    intents = list(till.stripe.account.of_kind("payment_intent"))[:2]
    page = ana.get("/billing/payments").text
    assert [one.state for one in autos] == [State.FAILED] * 2
    assert [one["status"] for one in intents] == ["canceled"] * 2
    assert "Automatic top-ups were stopped." in page
    assert "Card refused: insufficient funds." in page
    assert till.balance(tenant_of(till)).available == FIFTY


def test_a_card_that_was_fixed_can_be_switched_on_again(till: Till) -> None:
    ana = _kept(till)
    ana.post("/billing/auto-top-up", **RULE)
    _spoil(till, "pm_asks")
    for _ in range(4):
        till.rig.clock.forward(11 * MINUTE_MS)
        till.work()
    _spoil(till, "pm_ok")

    ana.post("/billing/auto-top-up", **RULE)
    till.rig.clock.forward(11 * MINUTE_MS)
    till.work()

    assert till.balance(tenant_of(till)).available == 2 * FIFTY
    assert "were stopped" not in ana.get("/billing/payments").text


def test_a_forgotten_card_is_charged_no_more(till: Till) -> None:
    ana = _kept(till)
    ana.post("/billing/auto-top-up", **RULE)

    assert ana.post("/billing/card/forget").status_code == 303
    till.rig.clock.forward(11 * MINUTE_MS)
    till.work()

    (method,) = till.stripe.account.of_kind("payment_method")
    assert method["customer"] is None
    assert len(till.top_ups()) == 1
    with till.rig.database.reading() as db:
        payer = find_payer(db, tenant_of(till))
    assert payer is not None
    assert (payer.card, payer.auto_on) == (None, False)


@pytest.mark.parametrize(
    ("field", "value"),
    [("threshold", "0"), ("threshold", "1e3"), ("amount", "4"), ("amount", "10001"), ("rule", "x")],
)
def test_a_rule_out_of_bounds_is_refused(till: Till, field: str, value: str) -> None:
    ana = _kept(till)

    answer = ana.post("/billing/auto-top-up", **{**RULE, field: value})

    assert answer.status_code == 422
    assert f'href="#f-{field}"' in answer.text


def test_two_processes_begin_one_payment(till: Till) -> None:
    ana = _kept(till)
    ana.post("/billing/auto-top-up", **RULE)
    till.rig.clock.forward(MINUTE_MS)
    till.stripe.faults.plan("POST /v1/payment_intents", Fault.REFUSED)

    till.work()
    till.rig.clock.forward(16 * SECOND_MS)
    till.work()

    assert len([one for one in till.top_ups() if one.kind == "auto"]) == 1


def _spoil(till: Till, card: str) -> None:
    (method,) = till.stripe.account.of_kind("payment_method")
    till.stripe.account.cards[method["id"]] = card

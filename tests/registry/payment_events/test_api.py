"""Webhooks: what Stripe sends is worked on once, what anybody else sends is refused (attack 87)."""

import json
from dataclasses import replace
from typing import Any

import pytest

from protocol.clock import DAY_MS, MINUTE_MS, SECOND_MS
from registry.payment_events.webhook import BODY_BYTES_MAX, KINDS
from registry.payments.checkout import State
from tests.fakes.stripe.deliveries import NEXT_SECRET, Delivery, signature_of, signed
from tests.fakes.stripe.faults import Fault
from tests.fakes.stripe.shapes import Object
from tests.registry.rig import START_MS
from tests.registry.till import WEBHOOK, Till, tenant_of

FIFTY = 50_000_000
NOW_S = START_MS // 1000


def test_a_webhook_credits_before_anybody_comes_back(till: Till) -> None:
    ana = till.rig.member()
    till.paid(ana)

    till.deliver_all()

    assert till.balance(tenant_of(till)).available == FIFTY
    assert till.top_ups()[0].state is State.SUCCEEDED


def test_the_same_payment_is_credited_once_whatever_tells_of_it(till: Till) -> None:
    ana = till.rig.member()
    session_id = till.paid(ana)

    for _ in range(2):
        till.deliver_all()
        till.come_back(ana, session_id)
        till.rig.clock.forward(MINUTE_MS)
        till.work()
    for event in list(till.stripe.account.events):
        # Sent again by hand it has another id and the same content.
        till.deliver({**event, "id": f"{event['id']}again"})

    assert till.balance(tenant_of(till)).available == FIFTY


def test_a_webhook_before_our_row_knows_its_page_finds_its_row(till: Till) -> None:
    ana = till.rig.member()
    till.paid(ana)
    with till.rig.database.unit() as db:
        # As after a kill between the processor's answer and our row.
        db.connection.exec_driver_sql("UPDATE top_up SET session_id = NULL, session_url = ''")
    completed = _event(till, "checkout.session.completed")

    till.deliver(completed)

    assert till.balance(tenant_of(till)).available == FIFTY
    assert till.top_ups()[0].session_id == completed["data"]["object"]["id"]


def test_either_secret_is_taken_and_the_moment_is_checked_both_ways(till: Till) -> None:
    till.paid(till.rig.member())
    completed = _event(till, "checkout.session.completed")

    within = [
        till.deliver(completed, at_ms=START_MS + skew, secret=secret)
        for secret, skew in (
            (NEXT_SECRET, 0),
            (NEXT_SECRET, -5 * MINUTE_MS),
            (NEXT_SECRET, 5 * MINUTE_MS),
        )
    ]
    beyond = [
        till.deliver(completed, at_ms=START_MS + skew)
        for skew in (-301 * SECOND_MS, 301 * SECOND_MS, 3600 * SECOND_MS, -3 * DAY_MS, DAY_MS)
    ]

    assert within == [200] * 3
    assert beyond == [400] * 5


def test_a_forged_webhook_is_refused_and_changes_nothing(till: Till) -> None:
    till.paid(till.rig.member())
    completed = _event(till, "checkout.session.completed")
    good = signed(completed, at_ms=START_MS)
    forged = {
        "no signature": replace(good, signature=""),
        "not hexadecimal": replace(good, signature=f"t={NOW_S},v1=zz"),
        "another secret": signed(completed, at_ms=START_MS, secret="whsec_guess"),
        "an empty secret": signed(completed, at_ms=START_MS, secret=""),
        "another body": replace(good, body=good.body.replace(b"5000", b"9000")),
        "one space more": replace(good, body=good.body + b" "),
        "another scheme": replace(good, signature=good.signature.replace("v1=", "v0=")),
        "another moment": replace(good, signature=good.signature.replace("t=", "t=1")),
        "two moments": replace(good, signature=f"t={NOW_S - 9999},{good.signature}"),
        "a long header": replace(good, signature=good.signature + ",v1=0" * 1000),
        "no text": Delivery(b"\xff\xfe", signature_of(b"\xff\xfe", at_s=NOW_S)),
    }

    answers = {name: till.send(one) for name, one in forged.items()}

    assert set(answers.values()) == {400}, answers
    _nothing_was_noted(till)


@pytest.mark.parametrize(
    "change",
    [
        {"livemode": True},
        {"account": "acct_somebody_else"},
        {"id": 7},
        {"id": "x" * 300},
        {"id": "evt_'; DROP TABLE top_up"},
        {"created": -1},
        {"created": 1 << 60},
        {"data": []},
        {"data": {"object": "x"}},
        {"type": None},
    ],
    ids=str,
)
def test_a_signed_body_that_is_not_for_us_is_refused(till: Till, change: dict[str, Any]) -> None:
    till.paid(till.rig.member())
    event = {**_event(till, "checkout.session.completed"), **change}

    assert till.deliver(event) == 400
    _nothing_was_noted(till)


def test_a_body_that_is_too_large_or_no_json_is_refused(till: Till) -> None:
    large = b" " * (BODY_BYTES_MAX + 1)
    deep = b"[" * 100_000

    assert till.send(Delivery(large, signature_of(large, at_s=NOW_S))) == 413
    assert till.send(Delivery(deep, signature_of(deep, at_s=NOW_S))) == 400
    assert till.send(Delivery(b"{}", signature_of(b"{}", at_s=NOW_S))) == 400
    assert (
        till.rig.app.test_client().get(WEBHOOK, base_url="https://registry.example").status_code
        == 405
    )


def test_what_a_body_claims_is_never_believed(till: Till) -> None:
    """Whoever has the webhook's secret alone still cannot make money."""
    ana = till.rig.member()
    session_id = till.session_of(till.begin(ana))
    event = _event_of(till, session_id)
    event["data"]["object"] |= {"status": "complete", "payment_status": "paid"}
    event["data"]["object"]["amount_total"] = 99_999_999
    invented = {**event, "id": "evt_invented", "type": "payment_intent.succeeded"}
    invented["data"] = {"object": {"id": "pi_invented", "amount_received": 99_999_999}}

    assert till.deliver(event) == 200
    assert till.deliver(invented) == 200
    assert till.balance(tenant_of(till)).available == 0


def test_a_payment_over_another_amount_is_not_credited(till: Till) -> None:
    ana = till.rig.member()
    session_id = till.session_of(till.begin(ana))
    till.stripe.account.objects[session_id]["amount_total"] = 100
    till.stripe.account.pay(session_id)

    till.deliver_all()

    assert till.balance(tenant_of(till)).available == 0
    assert till.top_ups()[0].why == "Not credited: it is over 100 cents, not 5000."


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.DROPPED])
def test_what_cannot_be_worked_on_waits_and_is_answered_all_the_same(
    till: Till, fault: Fault
) -> None:
    till.paid(till.rig.member())
    till.stripe.faults.plan("GET /v1/", fault)

    answered = till.deliver(_event(till, "checkout.session.completed"))
    before = till.balance(tenant_of(till)).available
    till.rig.clock.forward(10 * SECOND_MS)
    till.work()

    assert (answered, before) == (200, 0)
    assert till.balance(tenant_of(till)).available == FIFTY


def test_other_events_are_noted_and_need_nothing(till: Till) -> None:
    till.paid(till.rig.member())
    asked = len(till.stripe.asked)
    others = [one for one in till.stripe.account.events if one["type"] not in KINDS]

    assert others
    assert [till.deliver(one) for one in others] == [200] * len(others)
    assert len(till.stripe.asked) == asked


def _event(till: Till, kind: str) -> Object:
    found = next(one for one in till.stripe.account.events if one["type"] == kind)
    copied: Object = json.loads(json.dumps(found))
    return copied


def _event_of(till: Till, session_id: str) -> Object:
    account = till.stripe.account
    made = account.report("checkout.session.completed", account.objects[session_id])
    copied: Object = json.loads(json.dumps(made))
    return copied


def _nothing_was_noted(till: Till) -> None:
    with till.rig.database.reading() as db:
        noted = db.connection.exec_driver_sql("SELECT count(*) FROM payment_event").scalar_one()
    assert noted == 0
    assert till.balance(tenant_of(till)).available == 0

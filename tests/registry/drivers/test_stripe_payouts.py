"""Sites are paid by transfers at Stripe: once, and called back only while the money is there."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from protocol.clock import DAY_MS
from protocol.refusal import Refusal
from registry.drivers.stripe_payments import StripePayments
from registry.drivers.stripe_payouts import StripePayouts
from registry.payouts.sender import PayoutOrder
from tests.fakes.stripe import shapes
from tests.fakes.stripe.faults import Fault
from tests.fakes.stripe.server import API_KEY, FakeStripe, running_stripe
from tests.registry.rig import START_MS, SetClock

SITE_ACCOUNT = "acct_site"
ORDER = PayoutOrder(
    payout_id="po_01k9",
    site_id="s_01k9",
    micros=30_120_000,
    destination=SITE_ACCOUNT,
    created_at_ms=START_MS,
)


@dataclass
class Side:
    fake: FakeStripe
    clock: SetClock
    payouts: StripePayouts

    def transfers(self) -> list[shapes.Object]:
        return list(self.fake.account.of_kind("transfer"))


@pytest.fixture
def side(tmp_path: Path) -> Iterator[Side]:
    """An account with $100 in it, and a connected account of a site."""
    clock = SetClock()
    with running_stripe(clock) as fake:
        fake.account.moved("charge", 10_000, "ch_1")
        made = shapes.connected_account(SITE_ACCOUNT, created=fake.account.now, params={})
        fake.account.objects[SITE_ACCOUNT] = made
        fake.account.connected_cents[SITE_ACCOUNT] = 0
        payments = StripePayments(API_KEY, secrets=(), api_base=fake.base_url, retries=0)
        yield Side(fake, clock, StripePayouts(payments, clock=clock))


def test_an_order_is_one_transfer_however_often_it_is_sent(side: Side) -> None:
    answers = [side.payouts.send(ORDER) for _ in range(3)]

    (transfer,) = side.transfers()
    assert {(one.outcome, one.reference) for one in answers} == {("paid", transfer["id"])}
    assert transfer["transfer_group"] == ORDER.payout_id
    assert side.fake.account.connected_cents[SITE_ACCOUNT] == 3_012


@pytest.mark.parametrize("fault", [Fault.DROPPED, Fault.BROKEN, Fault.REFUSED])
def test_a_lost_answer_waits_and_the_money_is_sent_once(side: Side, fault: Fault) -> None:
    side.fake.faults.plan("POST /v1/transfers", fault)

    assert side.payouts.send(ORDER).outcome == "waiting"
    assert side.payouts.send(ORDER).outcome == "paid"
    assert len(side.transfers()) == 1


def test_after_keys_are_forgotten_the_transfer_is_looked_for(side: Side) -> None:
    side.fake.faults.plan("POST /v1/transfers", Fault.DROPPED)
    side.payouts.send(ORDER)
    side.clock.forward(3 * DAY_MS)

    assert side.payouts.send(ORDER).outcome == "paid"
    assert len(side.transfers()) == 1


def test_a_balance_that_does_not_cover_it_yet_waits(side: Side) -> None:
    answer = side.payouts.send(replace(ORDER, micros=200_000_000))

    assert answer.outcome == "waiting"
    assert side.transfers() == []


def test_an_account_that_is_not_there_is_refused(side: Side) -> None:
    answer = side.payouts.send(replace(ORDER, destination="acct_nobody"))

    assert answer.outcome == "refused"
    assert "acct_nobody" in answer.why


def test_a_transfer_is_called_back_once_and_only_while_the_money_is_there(side: Side) -> None:
    reference = side.payouts.send(ORDER).reference
    asked = {"destination": SITE_ACCOUNT, "micros": ORDER.micros}
    side.fake.account.connected_cents[SITE_ACCOUNT] -= 1

    with pytest.raises(Refusal, match="connected_balance"):
        side.payouts.call_back(ORDER.payout_id, reference, **asked)
    assert side.transfers()[0]["amount_reversed"] == 0
    side.fake.account.connected_cents[SITE_ACCOUNT] += 1
    side.payouts.call_back(ORDER.payout_id, reference, **asked)

    assert side.transfers()[0]["reversed"]
    assert side.fake.account.balance_cents == 10_000

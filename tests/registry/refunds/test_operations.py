"""Money that goes back: once, never more than there is, and turned when it does not arrive."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from protocol.clock import DAY_MS, MINUTE_MS, SECOND_MS
from protocol.refusal import Refusal
from registry.adjustments.operations import set_tax
from registry.leases.operations import find_terms
from registry.ledger.queries import change_held
from registry.payments.checkout import State
from registry.refunds.operations import begin_refund, send
from registry.refunds.queries import RefundRow, list_disputes, list_refunds
from registry.tenants.roles import console
from tests.fakes.stripe.faults import Fault
from tests.registry.till import Till, tenant_of

FIFTY = 50_000_000
CENT = 10_000


@dataclass
class Paid:
    """A till with one payment of $50 in it."""

    till: Till
    tenant_id: str
    top_up_id: str
    payment_id: str

    def refund(self, cents: int) -> RefundRow:
        row = self.begin(cents)
        return send(
            self.till.rig.database, self.till.payments, row.refund_key, now_ms=self.till.rig.clock()
        )

    def begin(self, cents: int) -> RefundRow:
        return self.till.rig.database.run(
            begin_refund,
            self.top_up_id,
            micros=cents * CENT,
            reason="requested_by_customer",
            actor=console(),
            now_ms=self.till.rig.clock(),
            new_id=self.till.rig.new_id,
        )

    def state(self) -> State:
        return self.till.top_ups()[0].state

    def wallet(self) -> int:
        return self.till.balance(self.tenant_id).wallet

    def books_agree(self) -> bool:
        return self.till.at_stripe() == self.till.stripe.account.balance_cents * CENT

    def rest(self) -> None:
        for _ in range(2):
            self.till.rig.clock.forward(11 * MINUTE_MS)
            self.till.work()


@pytest.fixture
def paid(till: Till) -> Paid:
    return _paid(till)


def _paid(till: Till, before: Callable[[str], None] = lambda tenant_id: None) -> Paid:
    ana = till.rig.member()
    session_id = till.session_of(till.begin(ana))
    before(tenant_of(till))
    till.stripe.account.pay(session_id)
    till.deliver_all()
    (row,) = till.top_ups()
    return Paid(till, row.tenant_id, row.top_up_id, row.payment_id)


def test_a_refund_leaves_wallet_and_stripe_and_a_whole_one_says_so(paid: Paid) -> None:
    paid.refund(2_000)
    part = paid.state()
    paid.refund(3_000)

    assert part is State.SUCCEEDED
    assert paid.state() is State.REFUNDED
    assert paid.wallet() == 0
    assert paid.books_agree()


@pytest.mark.parametrize("cents", [0, -1, 5_001])
def test_more_than_was_paid_cannot_go_back(paid: Paid, cents: int) -> None:
    with pytest.raises(Refusal, match="amount_out_of_range"):
        paid.refund(cents)

    assert paid.wallet() == FIFTY


def test_what_is_promised_to_nodes_cannot_go_back(paid: Paid) -> None:
    with paid.till.rig.database.unit() as db:
        assert change_held(db, paid.tenant_id, 20_000_000)

    with pytest.raises(Refusal, match="balance_spent"):
        paid.refund(3_001)

    assert paid.refund(3_000).state == "sent"


@pytest.mark.parametrize("fault", [Fault.DROPPED, Fault.BROKEN, Fault.REFUSED])
def test_a_refund_whose_answer_was_lost_is_sent_once(paid: Paid, fault: Fault) -> None:
    row = paid.begin(1_000)
    paid.till.stripe.faults.plan("POST /v1/refunds", fault)

    paid.rest()

    (refund,) = paid.till.stripe.account.of_kind("refund")
    assert refund["metadata"] == {"refund_key": row.refund_key}
    assert paid.wallet() == FIFTY - 10_000_000
    assert paid.books_agree()


def test_after_keys_are_forgotten_a_refund_is_looked_for_before_it_is_sent(paid: Paid) -> None:
    paid.till.stripe.faults.plan("POST /v1/refunds", Fault.DROPPED)
    paid.begin(1_000)
    paid.till.work()
    paid.till.rig.clock.forward(3 * DAY_MS)

    paid.rest()

    assert len(list(paid.till.stripe.account.of_kind("refund"))) == 1
    assert paid.books_agree()


def test_a_refund_that_stripe_refuses_is_turned(paid: Paid) -> None:
    row = paid.begin(5_000)
    paid.till.stripe.account.dispute(paid.payment_id)

    paid.rest()

    with paid.till.rig.database.reading() as db:
        (refund,) = list_refunds(db, [paid.top_up_id])
    assert (refund.refund_key, refund.state) == (row.refund_key, "refused")
    assert paid.books_agree()


def test_a_refund_that_comes_back_is_the_wallets_again(paid: Paid) -> None:
    paid.refund(5_000)
    (refund,) = paid.till.stripe.account.of_kind("refund")

    paid.till.stripe.account.fail_refund(refund["id"])
    paid.till.deliver_all()

    assert paid.state() is State.SUCCEEDED
    assert paid.wallet() == FIFTY
    assert paid.books_agree()


def test_a_refund_made_at_stripe_by_hand_is_found(paid: Paid) -> None:
    paid.till.payments.refund("by-hand", paid.payment_id, cents=700, reason="duplicate")

    paid.till.deliver_all()
    paid.till.deliver_all()
    paid.rest()

    assert paid.wallet() == FIFTY - 7_000_000
    assert paid.books_agree()


def test_tax_goes_back_with_the_payment_it_was_in(till: Till) -> None:
    def taxed(tenant_id: str) -> None:
        with till.rig.database.unit() as db:
            set_tax(
                db,
                tenant_id,
                jurisdiction="KE",
                basis_points=1_600,
                actor=console(),
                now_ms=till.rig.clock(),
            )

    paid = _paid(till, before=taxed)
    had = till.accounts()["L:tax:KE"]
    for cents in (1, 999, 4_000):
        paid.refund(cents)

    assert had < 0
    assert till.accounts()["L:tax:KE"] == 0
    assert paid.wallet() == 0
    assert paid.books_agree()


def test_a_dispute_freezes_what_was_paid_and_recalls_the_leases(paid: Paid) -> None:
    paid.till.stripe.account.dispute(paid.payment_id)
    paid.till.deliver_all()
    paid.till.rig.clock.forward(5 * SECOND_MS)
    paid.till.work()

    assert paid.state() is State.DISPUTED
    assert paid.wallet() == 0
    assert -paid.till.accounts()[f"L:frozen:{paid.tenant_id}"] == FIFTY
    assert paid.books_agree()
    with paid.till.rig.database.reading() as db:
        assert find_terms(db, paid.tenant_id).suspended_why.startswith("A card payment is disputed")
    with pytest.raises(Refusal, match="not_refundable"):
        paid.refund(1)


@pytest.mark.parametrize("won", [True, False])
def test_a_dispute_that_is_decided_ends_the_freezing(paid: Paid, won: bool) -> None:
    dispute = paid.till.stripe.account.dispute(paid.payment_id)
    paid.till.deliver_all()
    paid.till.rig.clock.forward(5 * SECOND_MS)
    paid.till.work()

    # The webhook that says so never comes.
    paid.till.stripe.account.decide(dispute["id"], won=won)
    paid.rest()

    assert paid.state() is (State.SUCCEEDED if won else State.CHARGED_BACK)
    assert paid.wallet() == (FIFTY if won else 0)
    assert paid.till.accounts()[f"A:dispute:{dispute['id']}"] == 0
    assert paid.books_agree()
    with paid.till.rig.database.reading() as db:
        assert list_disputes(db, state="open", limit=9) == []
        assert find_terms(db, paid.tenant_id).suspended_at_ms is None


def test_a_dispute_of_money_that_was_spent_is_owed(paid: Paid) -> None:
    paid.refund(4_000)
    dispute = paid.till.stripe.account.dispute(paid.payment_id)
    with paid.till.rig.database.unit() as db:
        assert change_held(db, paid.tenant_id, 5_000_000)

    paid.till.deliver_all()
    paid.till.stripe.account.decide(dispute["id"], won=False)
    paid.till.deliver_all()

    assert paid.wallet() == 0
    assert paid.till.balance(paid.tenant_id).available < 0
    assert paid.books_agree()


def test_events_of_a_payment_in_any_order_lead_to_the_same(till: Till) -> None:
    ana = till.rig.member()
    session_id = till.session_of(till.begin(ana))
    till.stripe.account.pay(session_id)
    (intent,) = till.stripe.account.of_kind("payment_intent")
    till.payments.refund("by-hand", intent["id"], cents=1_000, reason="duplicate")
    dispute = till.stripe.account.dispute(intent["id"])
    till.stripe.account.decide(dispute["id"], won=True)

    for event in reversed(list(till.stripe.account.events)):
        assert till.deliver(event) == 200

    assert till.balance(tenant_of(till)).wallet == FIFTY - 10_000_000
    assert till.at_stripe() == till.stripe.account.balance_cents * CENT

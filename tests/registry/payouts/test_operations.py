"""Sites are paid whole cents of what has matured, once, and what failed is theirs again."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from protocol.refusal import Fault, Refusal
from registry.adjustments.operations import mature_shares, verify_founded
from registry.adjustments.shares import DISPUTE_WINDOW_MS
from registry.drivers.bank_payouts import BankPayouts
from registry.jobs import Duty, payout_errands
from registry.ledger.operations import post, verify
from registry.ledger.postings import UsageCharge, usage
from registry.ledger.queries import get_account, get_purse
from registry.payouts.loop import send_waiting
from registry.payouts.operations import (
    PAYOUT_EVERY_MS,
    PAYOUT_MICROS_MIN,
    expected_journals,
    note_answer,
    note_returned,
    set_destination,
    start_payouts,
    tell,
)
from registry.payouts.queries import Destination, Payout, find_payout, list_payouts, paid_out
from registry.payouts.sender import PayoutAnswer, PayoutOrder, PayoutSender
from registry.payouts.states import Event, State
from registry.store.database import Db
from registry.tenants.roles import console
from tests.registry.marketplace import Marketplace

HOUR_MS = 3_600_000
WHO = console()
ACCOUNTS = {"bank": "A:bank"}
EARNED = PAYOUT_MICROS_MIN + 1_239_999


@dataclass
class Provider:
    """A sender that answers as it is told, and remembers what it was asked."""

    answers: list[PayoutAnswer | Fault]
    name: str = "bank"
    account: str = "A:bank"
    orders: list[PayoutOrder] = field(default_factory=list)

    def send(self, order: PayoutOrder) -> PayoutAnswer:
        self.orders.append(order)
        answer = self.answers.pop(0)
        if isinstance(answer, Fault):
            raise answer
        return answer


def test_a_payout_is_whole_cents_and_the_rest_stays(market: Marketplace) -> None:
    _earn(market, EARNED)

    (made,) = _start(market)

    assert made.micros == PAYOUT_MICROS_MIN + 1_230_000
    assert (made.state, made.destination) == (State.PENDING, "IBAN 1")
    assert _within(market, lambda db: get_account(db, f"L:site:{market.site_id}")) == -9_999
    assert _problems(market) == []


def test_less_than_the_least_waits(market: Marketplace) -> None:
    _earn(market, PAYOUT_MICROS_MIN - 1)

    assert _start(market) == []


def test_a_site_that_nobody_can_pay_waits(market: Marketplace) -> None:
    _earn(market, EARNED, destination="")

    assert _start(market) == []


def test_a_site_is_paid_by_itself_once_a_month_and_by_an_operator_at_any_time(
    market: Marketplace,
) -> None:
    _earn(market, EARNED)
    (first,) = _start(market)
    _earn(market, EARNED)

    assert _start(market) == []
    market.rig.clock.forward(PAYOUT_EVERY_MS - 1 - _since(market, first))
    assert _start(market) == []
    (second,) = _start(market, by_hand=True)
    market.rig.clock.forward(PAYOUT_EVERY_MS)
    _earn(market, EARNED)
    (third,) = _start(market)

    assert len({first.payout_id, second.payout_id, third.payout_id}) == 3
    assert _problems(market) == []


def test_a_payout_that_was_paid_keeps_the_bank_s_reference(market: Marketplace) -> None:
    _earn(market, EARNED)
    (made,) = _start(market)

    assert _tell(market, made, Event.PAID, reference="TX 7") is State.SENT

    found = _find(market, made)
    assert (found.reference, found.sent_at_ms) == ("TX 7", market.rig.clock())
    assert _within(market, lambda db: paid_out(db, market.site_id)) == made.micros
    assert _problems(market) == []


@pytest.mark.parametrize("events", [(Event.REFUSED,), (Event.PAID, Event.RETURNED)])
def test_what_failed_or_came_back_is_the_site_s_again(
    market: Marketplace, events: tuple[Event, ...]
) -> None:
    _earn(market, EARNED)
    (made,) = _start(market)

    for event in events:
        _tell(market, made, event, why="Account closed")

    assert _find(market, made).why == "Account closed"
    assert _within(market, lambda db: get_account(db, f"L:site:{market.site_id}")) == -EARNED
    assert _within(market, lambda db: get_account(db, "A:bank")) == 0
    assert _problems(market) == []
    (again,) = _start(market)
    assert again.micros == made.micros


def test_what_cannot_happen_to_a_payout_is_refused(market: Marketplace) -> None:
    _earn(market, EARNED)
    (made,) = _start(market)

    with pytest.raises(Refusal, match="payout_state"):
        _tell(market, made, Event.RETURNED)
    with pytest.raises(Refusal, match="payout_unknown"), market.rig.database.unit() as db:
        tell(db, "po_none", Event.PAID, reference="", why="", actor=WHO, now_ms=1)


def test_a_sender_that_is_not_set_up_is_refused(market: Marketplace) -> None:
    with pytest.raises(Refusal, match="sender_unknown"), market.rig.database.unit() as db:
        set_destination(
            db, market.site_id, Destination("pigeon", "loft"), senders=("bank",), actor=WHO,
            now_ms=1,
        )  # fmt: skip


def test_a_sender_is_asked_until_it_knows_and_then_no_more(market: Marketplace) -> None:
    _earn(market, EARNED)
    (made,) = _start(market)
    provider = Provider(
        [PayoutAnswer("waiting"), Fault("away"), PayoutAnswer("paid", reference="tr_1")]
    )

    moved = [_send(market, provider) for _ in range(4)]

    assert moved == [0, 0, 1, 0]
    assert {order.payout_id for order in provider.orders} == {made.payout_id}
    assert _find(market, made).reference == "tr_1"


def test_a_provider_that_refuses_or_calls_back_gives_the_money_back_once(
    market: Marketplace,
) -> None:
    _earn(market, EARNED)
    (made,) = _start(market)
    assert _send(market, Provider([PayoutAnswer("refused", why="No such account")])) == 1
    with market.rig.database.unit() as db:
        note_answer(db, made.payout_id, PayoutAnswer("paid"), now_ms=1)
    assert _find(market, made).state is State.FAILED

    (second,) = _start(market)
    assert _send(market, Provider([PayoutAnswer("paid", reference="tr_2")])) == 1
    with market.rig.database.unit() as db:
        for _ in range(2):
            note_returned(db, second.payout_id, why="Reversed", now_ms=market.rig.clock())

    assert _find(market, second).state is State.REVERSED
    assert _problems(market) == []


def test_the_bank_is_waited_for(market: Marketplace) -> None:
    _earn(market, EARNED)
    _start(market)

    assert _send(market, BankPayouts()) == 0
    (found,) = _within(market, lambda db: list_payouts(db, limit=5))
    assert found.state is State.PENDING


def test_the_background_work_makes_payouts_and_hands_them_over(market: Marketplace) -> None:
    _earn(market, EARNED)
    provider = Provider([PayoutAnswer("paid", reference="tr_1")])
    errands = payout_errands({"bank": provider})
    duty = Duty(market.rig.database, holder="a", clock=market.rig.clock, errands=errands)

    report = duty.once()

    assert "payouts 1, payouts_sent 1" in report
    assert len(provider.orders) == 1


def test_a_payout_without_its_journal_is_named(market: Marketplace) -> None:
    _earn(market, EARNED)
    (made,) = _start(market)

    with market.rig.database.reading() as db:
        expected = expected_journals(db)
        none = verify_founded(db, {})
        missing = verify_founded(
            db, {**expected, "payout:po_x": expected[f"payout:{made.payout_id}"]}
        )

    assert ("journal_unfounded", f"payout:{made.payout_id}") in {
        (one.code, one.subject) for one in none
    }
    assert [(one.code, one.subject) for one in missing] == [("journal_missing", "payout:po_x")]


def _earn(market: Marketplace, micros: int, destination: str = "IBAN 1") -> None:
    """The site earns so much, and it matures."""
    rig = market.rig
    with rig.database.unit() as db:
        if destination:
            set_destination(
                db, market.site_id, Destination("bank", destination), senders=("bank",),
                actor=WHO, now_ms=rig.clock(),
            )  # fmt: skip
        charge = UsageCharge(
            by_class={"gpu": micros}, charged=micros, overrun=0, late=0, share=micros,
            site_id=market.site_id,
        )  # fmt: skip
        src = f"log:{rig.new_id('journal')}"
        purse = get_purse(db, "t_1")
        assert post(db, usage(src=src, at_ms=rig.clock(), purse=purse, charge=charge))
    rig.clock.forward(DISPUTE_WINDOW_MS + HOUR_MS)
    with rig.database.unit() as db:
        assert mature_shares(db, now_ms=rig.clock()) == 1


def _start(market: Marketplace, *, by_hand: bool = False) -> list[Payout]:
    with market.rig.database.unit() as db:
        return start_payouts(
            db,
            accounts=ACCOUNTS,
            now_ms=market.rig.clock(),
            new_id=market.rig.new_id,
            actor=WHO if by_hand else None,
        )


def _tell(
    market: Marketplace, made: Payout, event: Event, *, reference: str = "", why: str = ""
) -> State:
    with market.rig.database.unit() as db:
        return tell(
            db, made.payout_id, event, reference=reference, why=why, actor=WHO,
            now_ms=market.rig.clock(),
        )  # fmt: skip


def _send(market: Marketplace, sender: PayoutSender) -> int:
    return send_waiting(market.rig.database, {"bank": sender}, market.rig.clock())


def _find(market: Marketplace, made: Payout) -> Payout:
    found = _within(market, lambda db: find_payout(db, made.payout_id))
    assert isinstance(found, Payout)
    return found


def _since(market: Marketplace, made: Payout) -> int:
    return market.rig.clock() - made.created_at_ms


def _within(market: Marketplace, work: Callable[[Db], object]) -> object:
    with market.rig.database.reading() as db:
        return work(db)


def _problems(market: Marketplace) -> list[tuple[str, str]]:
    with market.rig.database.reading() as db:
        found = (*verify(db).problems, *verify_founded(db, expected_journals(db)))
    return [(one.code, one.subject) for one in found]

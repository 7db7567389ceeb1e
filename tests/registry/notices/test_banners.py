"""The one banner about money."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.clock import DAY_MS, HOUR_MS, MINUTE_MS
from registry.balances.operations import Standing
from registry.balances.states import Kept, Money, step
from registry.ledger.posture import CRITICAL_MS, LOW_MS, Posture, lasts_ms
from registry.notices.banners import Account, Payment, moment, money_banners, untold_payment
from registry.payments.checkout import State as PaymentState
from registry.payments.checkout import TopUp

NOW_MS = 1_795_176_000_000


def posture(left_micros: int, burn_micros_per_hour: int) -> Posture:
    """How money stands that was ample before."""
    money = Money(left_micros, burn_micros_per_hour)
    return Standing(step(Kept(), money, now_ms=NOW_MS).after, money).posture


ACCOUNT = Account(
    posture=posture(100_000_000, 0),
    funded=True,
    running=(),
    stopped=0,
    stopped_at_ms=None,
    can_pay=True,
    payers=("amina@umoja.example",),
    held_micros=0,
    silent_nodes=(),
)
LOW = replace(ACCOUNT, posture=posture(6_410_000, 4_700_000), running=("train", "chat"))


def test_an_account_with_money_and_nothing_running_has_no_banner() -> None:
    assert money_banners(ACCOUNT, now_ms=NOW_MS) == ()


def test_a_low_balance_names_amount_pace_and_moment() -> None:
    (banner,) = money_banners(LOW, now_ms=NOW_MS)

    assert banner.kind == "warning"
    assert banner.lead == "Balance low: $6.41 left."
    assert "At $4.70 per hour, 2\u00a0workloads stop at about" in banner.text
    assert "UTC" in banner.text
    assert "scratch files are deleted then; settings, costs and receipts are kept" in banner.text
    assert banner.actions == (("Add funds", "/billing/add-funds"),)


def test_a_critical_balance_names_what_stops_and_when() -> None:
    account = replace(LOW, posture=posture(1_000_000, 4_000_000))

    (banner,) = money_banners(account, now_ms=NOW_MS)

    assert banner.kind == "critical"
    assert "train and 1\u00a0other stop in about 15 min" in banner.text


def test_a_balance_that_is_used_up_says_what_stopped_when_and_what_is_kept() -> None:
    account = replace(ACCOUNT, posture=posture(0, 0), stopped=2, stopped_at_ms=NOW_MS - HOUR_MS)

    (banner,) = money_banners(account, now_ms=NOW_MS)

    assert banner.kind == "depleted"
    assert banner.lead.startswith("Balance used up at ")
    assert "2\u00a0workloads stopped" in banner.text
    assert "are kept" in banner.text


def test_what_is_owed_is_said() -> None:
    (banner,) = money_banners(replace(ACCOUNT, posture=posture(-2_000_000, 0)), now_ms=NOW_MS)

    assert "$2.00 is owed." in banner.text


def test_an_account_that_never_had_money_is_not_told_that_it_is_used_up() -> None:
    account = replace(ACCOUNT, posture=posture(0, 0), funded=False)

    assert money_banners(account, now_ms=NOW_MS) == ()


def test_who_may_not_pay_is_told_whom_to_ask_and_gets_no_dead_button() -> None:
    (banner,) = money_banners(replace(LOW, can_pay=False), now_ms=NOW_MS)

    assert banner.actions == ()
    assert "Ask amina@umoja.example to add funds." in banner.text


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (("acc-park-3",), "until acc-park-3 reconnects"),
        (("a", "b"), "until a and b reconnect"),
        (("a", "b", "c"), "until a and 2 more nodes reconnect"),
    ],
)
def test_held_usage_names_the_silent_nodes(nodes: tuple[str, ...], words: str) -> None:
    account = replace(ACCOUNT, held_micros=12_300_000, silent_nodes=nodes)

    (banner,) = money_banners(account, now_ms=NOW_MS)

    assert banner.kind == "unverified"
    assert "$12.30 of usage is held," in banner.lead
    assert words in banner.text


def test_the_balance_comes_before_held_usage() -> None:
    account = replace(LOW, held_micros=1, silent_nodes=("a",))

    assert [banner.kind for banner in money_banners(account, now_ms=NOW_MS)] == ["warning"]


def test_a_moment_of_another_day_has_its_date() -> None:
    assert moment(NOW_MS, NOW_MS).endswith("today")
    assert " on " in moment(NOW_MS + 2 * DAY_MS, NOW_MS)


@pytest.mark.parametrize(
    ("runway_ms", "state"),
    [
        (LOW_MS, "funded"),
        (LOW_MS - MINUTE_MS, "low"),
        (CRITICAL_MS, "low"),
        (CRITICAL_MS - MINUTE_MS, "critical"),
        (0, "depleted"),
    ],
)
def test_the_state_changes_at_a_day_at_an_hour_and_at_nothing(runway_ms: int, state: str) -> None:
    burn = 3_600_000

    assert posture(burn * runway_ms // HOUR_MS, burn).state == state


@given(left=st.integers(-(10**12), 10**15), burn=st.integers(0, 10**10))
def test_the_runway_is_never_promised_longer_than_the_money_lasts(left: int, burn: int) -> None:
    runway_ms = lasts_ms(left, burn)

    assert (runway_ms is None) == (burn == 0)
    assert runway_ms is None or runway_ms * burn <= max(left, 0) * HOUR_MS


@given(
    left=st.integers(-(10**9), 10**12),
    burn=st.integers(0, 10**9),
    running=st.lists(st.text(min_size=1, max_size=9), max_size=5),
    stopped=st.integers(0, 3),
    held=st.integers(0, 10**9),
    funded=st.booleans(),
    can_pay=st.booleans(),
)
def test_there_is_never_more_than_one_banner_and_it_always_says_something(
    left: int,
    burn: int,
    running: list[str],
    stopped: int,
    held: int,
    *,
    funded: bool,
    can_pay: bool,
) -> None:
    account = Account(
        posture=posture(left, burn),
        funded=funded,
        running=tuple(running),
        stopped=stopped,
        stopped_at_ms=NOW_MS if stopped else None,
        can_pay=can_pay,
        payers=(),
        held_micros=held,
        silent_nodes=("n",) if held else (),
    )

    found = money_banners(account, now_ms=NOW_MS)

    assert len(found) <= 1
    assert all(banner.lead and banner.text for banner in found)


def test_a_frozen_balance_says_why_and_a_closed_account_what_is_kept() -> None:
    frozen = replace(ACCOUNT.posture, state="frozen")
    disputed = replace(ACCOUNT, posture=frozen, kept_micros=5_000_000)
    suspended = replace(ACCOUNT, posture=frozen, suspended=True)
    closed = replace(ACCOUNT, posture=replace(frozen, state="closed"))

    shown = [money_banners(one, now_ms=NOW_MS)[0] for one in (disputed, suspended, closed)]

    assert [banner.kind for banner in shown] == ["frozen", "frozen", "closed"]
    assert "$5.00 is kept back while a payment is disputed" in shown[0].text
    assert "suspended" in shown[1].text
    assert shown[1].actions == ()
    assert "receipts are kept" in shown[2].text


@pytest.mark.parametrize(
    ("state", "payment_id", "decline", "told"),
    [
        (PaymentState.PENDING, "pi_1", "", True),
        (PaymentState.PENDING, "", "", False),
        (PaymentState.PENDING, "pi_1", "card_declined", False),
        (PaymentState.FAILED, "pi_1", "card_declined", True),
        (PaymentState.SUCCEEDED, "pi_1", "", False),
        (PaymentState.EXPIRED, "", "", False),
    ],
)
def test_a_payment_is_told_while_it_is_on_its_way_and_when_it_was_refused(
    state: PaymentState, payment_id: str, decline: str, told: bool
) -> None:
    payment = _payment(state, payment_id, decline)

    assert untold_payment([payment]) == (payment if told else None)
    assert untold_payment([_payment(PaymentState.SUCCEEDED, "pi_2", ""), payment]) is None


def test_a_payment_has_a_banner_and_is_named_where_money_is_short() -> None:
    pending = replace(ACCOUNT, payment=Payment(50_000_000))
    refused = replace(ACCOUNT, payment=Payment(50_000_000, "Card refused: insufficient funds."))

    (on_its_way,) = money_banners(pending, now_ms=NOW_MS)
    (failed,) = money_banners(refused, now_ms=NOW_MS)
    (low,) = money_banners(replace(LOW, payment=Payment(50_000_000)), now_ms=NOW_MS)

    assert (on_its_way.kind, on_its_way.lead) == ("pending", "$50.00 is on its way.")
    assert (failed.kind, failed.actions[0][0]) == ("failed", "Try another")
    assert "$50.00 is on its way." in low.text


def test_what_stopped_says_what_to_add_by_when() -> None:
    account = replace(
        ACCOUNT,
        posture=posture(0, 0),
        stopped=1,
        stopped_at_ms=NOW_MS - HOUR_MS,
        resume_micros=4_200_000,
    )

    (banner,) = money_banners(account, now_ms=NOW_MS)
    (late,) = money_banners(account, now_ms=NOW_MS + 7 * DAY_MS)

    assert "Add at least $4.20 by " in banner.text
    assert "Add at least" not in late.text


def _payment(state: PaymentState, payment_id: str, decline: str) -> TopUp:
    return TopUp(
        top_up_id="tu_1",
        tenant_id="t_1",
        kind="checkout",
        nonce="n",
        micros=50_000_000,
        state=state,
        asked_by="u_1",
        receipt_email="",
        return_to="/billing",
        keep_card=False,
        created_at_ms=NOW_MS,
        checked_at_ms=NOW_MS,
        payment_id=payment_id,
        decline=decline,
    )

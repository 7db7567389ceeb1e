"""The one banner about money."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.clock import DAY_MS, HOUR_MS, MINUTE_MS
from registry.ledger.posture import CRITICAL_MS, LOW_MS, lasts_ms, posture
from registry.notices.banners import Account, moment, money_banners

NOW_MS = 1_795_176_000_000
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

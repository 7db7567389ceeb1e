"""The states of a balance: one table, hysteresis, and what is told once."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.clock import DAY_MS, HOUR_MS, MINUTE_MS
from registry.balances.states import (
    LEAVE_LOW_MS,
    MOVES,
    REMINDERS_MS,
    Kept,
    Money,
    Signal,
    State,
    signal,
    step,
)

NOW_MS = 1_795_176_000_000
BURN = 3_600_000

moneys = st.builds(
    Money,
    left_micros=st.integers(-(10**9), 10**10),
    burn_micros_per_hour=st.sampled_from((0, 1, 1_000, BURN, 50_000_000)),
    held_micros=st.integers(0, 10**8),
    kept_micros=st.sampled_from((0, 0, 0, 5_000_000)),
    suspended=st.sampled_from((False, False, False, True)),
    closed=st.sampled_from((False, False, False, False, True)),
    resume_micros=st.none() | st.integers(1, 10**7),
)


def lasting(runway_ms: int) -> Money:
    """Money that lasts so long at BURN."""
    return Money(left_micros=BURN * runway_ms // HOUR_MS, burn_micros_per_hour=BURN)


def test_the_table_answers_every_state_and_signal() -> None:
    assert set(MOVES) == {(state, seen) for state in State for seen in Signal}


def test_an_account_that_is_closed_stays_closed() -> None:
    assert {MOVES[State.CLOSED, seen] for seen in Signal} == {State.CLOSED}


@pytest.mark.parametrize(
    ("before", "runway_ms", "after"),
    [
        (State.FUNDED, DAY_MS, State.FUNDED),
        (State.FUNDED, DAY_MS - 1_000, State.LOW),
        (State.LOW, DAY_MS + HOUR_MS, State.LOW),
        (State.LOW, LEAVE_LOW_MS, State.LOW),
        (State.LOW, LEAVE_LOW_MS + 1_000, State.FUNDED),
        (State.LOW, HOUR_MS - 1_000, State.CRITICAL),
        (State.CRITICAL, 80 * MINUTE_MS, State.CRITICAL),
        (State.CRITICAL, 2 * HOUR_MS, State.LOW),
        (State.CRITICAL, 2 * DAY_MS, State.FUNDED),
        (State.CRITICAL, 0, State.DEPLETED),
        (State.DEPLETED, DAY_MS + HOUR_MS, State.LOW),
        (State.DEPLETED, 2 * DAY_MS, State.FUNDED),
    ],
)
def test_a_better_state_is_entered_only_well_above_its_bound(
    before: State, runway_ms: int, after: State
) -> None:
    assert step(Kept(before), lasting(runway_ms), now_ms=NOW_MS).after.state is after


@pytest.mark.parametrize(
    "money",
    [
        Money(10**8, 0, kept_micros=1),
        Money(10**8, 0, suspended=True),
        Money(5, 0, held_micros=6),
    ],
)
def test_disputed_suspended_and_promised_away_money_is_frozen(money: Money) -> None:
    assert signal(money) is Signal.FROZEN


def test_a_rest_that_begins_nothing_of_what_stopped_is_spent() -> None:
    stopped = Money(10_000, 0, resume_micros=BURN)

    assert signal(stopped) is Signal.SPENT
    assert signal(replace(stopped, left_micros=BURN)) is Signal.AMPLE
    assert signal(replace(stopped, burn_micros_per_hour=1)) is not Signal.SPENT


@given(first=moneys, second=moneys)
def test_the_same_money_again_is_no_edge_and_no_reminder(first: Money, second: Money) -> None:
    one = step(step(Kept(), first, now_ms=NOW_MS).after, second, now_ms=NOW_MS)

    again = step(one.after, second, now_ms=NOW_MS + 1)

    assert again.after == one.after
    assert not again.edge
    assert again.reminder_ms == 0


@given(seen=st.lists(moneys, max_size=30))
def test_each_edge_has_a_number_of_its_own_and_each_bound_one_reminder(seen: list[Money]) -> None:
    kept, told = Kept(), []
    since_funded: list[int] = []
    for number, money in enumerate(seen):
        taken = step(kept, money, now_ms=NOW_MS + number)
        assert taken.edge == (taken.after.state is not kept.state)
        assert taken.after.episode == kept.episode + taken.edge
        assert not (taken.edge and taken.reminder_ms)
        kept = taken.after
        if kept.state is State.FUNDED:
            since_funded = []
        if taken.reminder_ms:
            assert taken.reminder_ms in REMINDERS_MS
            assert taken.reminder_ms not in since_funded
            since_funded.append(taken.reminder_ms)
        if taken.edge:
            told.append(kept.episode)
    assert told == list(range(1, len(told) + 1))


def test_money_that_runs_down_is_told_at_a_day_six_hours_and_an_hour() -> None:
    kept, told = Kept(), []
    for minutes in range(30 * 60, 0, -10):
        taken = step(kept, lasting(minutes * MINUTE_MS), now_ms=NOW_MS)
        kept = taken.after
        if taken.edge:
            told.append(kept.state.value)
        if taken.reminder_ms:
            told.append(f"{taken.reminder_ms // HOUR_MS} h")

    assert told == ["low", "6 h", "critical"]


@given(wobble=st.lists(st.integers(-20, 20), min_size=1, max_size=50))
def test_money_that_wavers_about_a_day_gives_one_edge(wobble: list[int]) -> None:
    kept, edges = Kept(), 0
    for percent in wobble:
        taken = step(kept, lasting(DAY_MS + DAY_MS * percent // 100), now_ms=NOW_MS)
        kept, edges = taken.after, edges + taken.edge

    assert edges <= 1

"""What calls cost an hour, of late."""

import math

from hypothesis import given
from hypothesis import strategies as st

from protocol.clock import HOUR_MS, MINUTE_MS
from registry.balances.burn import ONE, Burn, burned, remaining

NOW_MS = 1_795_176_000_000


@given(age_ms=st.integers(0, 40 * HOUR_MS))
def test_a_charge_counts_less_by_the_exponential_of_its_age(age_ms: int) -> None:
    exact = math.exp(-age_ms / HOUR_MS)

    assert math.isclose(remaining(age_ms) / ONE, exact, rel_tol=1e-12, abs_tol=1e-16)


@given(one=st.integers(0, 10 * HOUR_MS), other=st.integers(0, 10 * HOUR_MS))
def test_waiting_twice_is_waiting_once_for_longer(one: int, other: int) -> None:
    twice = remaining(one) * remaining(other) // ONE

    assert abs(twice - remaining(one + other)) <= 1 << 10


@given(
    spent=st.integers(0, 10**12),
    cuts=st.lists(st.integers(0, HOUR_MS), max_size=20),
)
def test_looking_more_often_changes_the_average_by_less_than_a_micro_each_time(
    spent: int, cuts: list[int]
) -> None:
    burn = Burn(spent, NOW_MS)
    for part in cuts:
        burn = burned(burn, 0, now_ms=burn.at_ms + part)

    whole = burned(Burn(spent, NOW_MS), 0, now_ms=NOW_MS + sum(cuts))

    assert burn.at_ms == whole.at_ms
    assert 0 <= whole.micros_per_hour - burn.micros_per_hour + 1 <= len(cuts) + 2


@given(per_minute=st.integers(0, 10**9))
def test_a_constant_pace_is_found_within_a_percent_after_five_hours(per_minute: int) -> None:
    burn = Burn(0, NOW_MS)
    for minute in range(1, 301):
        burn = burned(burn, per_minute, now_ms=NOW_MS + minute * MINUTE_MS)

    assert abs(burn.micros_per_hour - 60 * per_minute) <= 60 * per_minute // 50 + 300


@given(spent=st.integers(0, 10**12), back_ms=st.integers(0, HOUR_MS))
def test_a_clock_that_goes_back_forgets_nothing_and_adds_nothing(spent: int, back_ms: int) -> None:
    before = Burn(spent, NOW_MS)

    assert burned(before, 0, now_ms=NOW_MS - back_ms) == before


def test_what_was_spent_two_days_ago_is_forgotten() -> None:
    assert burned(Burn(10**15, NOW_MS), 0, now_ms=NOW_MS + 48 * HOUR_MS).micros_per_hour == 0

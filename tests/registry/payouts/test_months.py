"""Months by arithmetic are the calendar's."""

import calendar
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.refusal import Refusal
from registry.payouts.months import Month, month_of, read_month

DAY_MS = 86_400_000
moments = st.integers(0, 4_102_444_799_999)
years = st.integers(2000, 2999)


@given(at_ms=moments)
def test_a_moment_s_month_is_the_calendar_s(at_ms: int) -> None:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)

    month = month_of(at_ms)

    assert (month.year, month.number) == (moment.year, moment.month)
    assert month.begin_ms <= at_ms < month.end_ms


@given(at_ms=moments)
def test_a_month_has_the_calendar_s_days_and_the_next_one_follows(at_ms: int) -> None:
    month = month_of(at_ms)

    days = calendar.monthrange(month.year, month.number)[1]
    assert month.end_ms - month.begin_ms == days * DAY_MS
    assert month.following.before == month
    assert month_of(month.end_ms) == month.following


@given(year=years, number=st.integers(1, 12))
def test_a_month_is_read_as_it_is_written(year: int, number: int) -> None:
    assert read_month(str(Month(year, number))) == Month(year, number)


def test_leap_days_are_where_they_belong() -> None:
    assert month_of(1_709_164_800_000) == Month(2024, 2)
    assert month_of(1_709_251_200_000) == Month(2024, 3)


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-00", "26-01", "2026-1", "٢٠٢٦-01"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="month_unreadable"):
        read_month(text)

"""Months of the calendar, in UTC."""

import calendar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.refusal import Refusal
from registry.statements.period import LISTED_MAX, Month, month_of, months_between, read_month

YEAR_2100_MS = calendar.timegm((2100, 1, 1, 0, 0, 0)) * 1000


@given(st.integers(0, YEAR_2100_MS))
def test_a_moment_lies_in_its_month_alone(at_ms: int) -> None:
    found = month_of(at_ms)

    assert found.begin_ms <= at_ms < found.end_ms
    assert found.before().end_ms == found.begin_ms
    assert found.next().before() == found


def test_months_end_where_the_calendar_says() -> None:
    assert read_month("2028-02").end_ms - read_month("2028-02").begin_ms == 29 * 86_400_000
    assert read_month("2026-12").next() == Month(2027, 1)
    assert Month(2027, 1).before().name == "2026-12"


@pytest.mark.parametrize(
    "text", ["2026-13", "2026-1", "2026", "26-01", "2026-01-01", "1999-01", ""]
)
def test_anything_else_names_no_month(text: str) -> None:
    with pytest.raises(Refusal, match="month_unreadable"):
        read_month(text)


def test_the_list_goes_from_the_newest_month_to_the_first_and_has_an_end() -> None:
    first, last = read_month("2026-09"), read_month("2026-11")

    found = months_between(first.begin_ms + 5, last.begin_ms + 7)

    assert [month.name for month in found] == ["2026-11", "2026-10", "2026-09"]
    assert len(months_between(0, last.begin_ms)) == LISTED_MAX

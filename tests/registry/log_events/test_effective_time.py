"""A node's clock is believed as far as it can be right, and beyond that the log waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.refusal import LogRefused
from registry.log_events.effective_time import SKEW_MS_TRUE, effective_span

NOW_MS = 1_795_176_000_000


def span(skew_ms: int, *, cosigned_at_ms: int | None, counted_to_ms: int) -> tuple[int, int] | None:
    return effective_span(
        skew_ms=skew_ms,
        cosigned_at_ms=cosigned_at_ms,
        counted_to_ms=counted_to_ms,
        now_ms=NOW_MS,
    )


@given(st.integers(-SKEW_MS_TRUE, SKEW_MS_TRUE))
def test_up_to_two_seconds_a_node_is_right(skew_ms: int) -> None:
    assert span(skew_ms, cosigned_at_ms=NOW_MS - 5, counted_to_ms=NOW_MS) is None


@pytest.mark.parametrize("skew_ms", [2_001, 300_000, -2_001, -300_000])
def test_up_to_300_seconds_its_records_lie_between_the_last_cosignature_and_now(
    skew_ms: int,
) -> None:
    found = span(skew_ms, cosigned_at_ms=NOW_MS - 60_000, counted_to_ms=NOW_MS)

    assert found == (NOW_MS - 62_000, NOW_MS + 2_000)


@pytest.mark.parametrize("skew_ms", [300_001, -300_001, 10**12])
def test_beyond_that_the_log_waits(skew_ms: int) -> None:
    with pytest.raises(LogRefused, match="clock_wrong"):
        span(skew_ms, cosigned_at_ms=None, counted_to_ms=0)


def test_later_pieces_of_a_long_backlog_are_not_younger_for_being_cosigned_late() -> None:
    three_days_ago = NOW_MS - 3 * 86_400_000

    found = span(5_000, cosigned_at_ms=NOW_MS - 100, counted_to_ms=three_days_ago)

    assert found == (three_days_ago - 2_000, NOW_MS + 2_000)


def test_the_first_batch_of_a_log_has_nothing_before_it() -> None:
    assert span(5_000, cosigned_at_ms=None, counted_to_ms=0) == (0, NOW_MS + 2_000)

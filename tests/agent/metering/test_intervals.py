"""Intervals: nothing lost, nothing twice, no hour or 300 s crossed, gaps apart."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from agent.metering.intervals import Gap, Interval, gap_since, intervals
from protocol.clock import HOUR_MS, hour_of
from protocol.usage import INTERVAL_MS_MAX

NO_GAP = Gap(0, 0)


@given(
    st.integers(0, 10**13), st.integers(0, 8 * HOUR_MS), st.integers(-HOUR_MS, HOUR_MS), st.data()
)
def test_pieces_cover_the_time_exactly(
    begin_ms: int, length_ms: int, offset_ms: int, data: st.DataObject
) -> None:
    gap_begin = begin_ms + offset_ms
    gap = Gap(gap_begin, gap_begin + data.draw(st.integers(0, 2 * HOUR_MS)))

    pieces = intervals(begin_ms, begin_ms + length_ms, gap)

    assert sum(piece.end_ms - piece.begin_ms for piece in pieces) == length_ms
    for before, after in itertools.pairwise(pieces):
        assert before.end_ms == after.begin_ms
    for piece in pieces:
        assert 0 < piece.end_ms - piece.begin_ms <= INTERVAL_MS_MAX
        assert hour_of(piece.begin_ms) == hour_of(piece.end_ms - 1)
        inside = gap.begin_ms <= piece.begin_ms and piece.end_ms <= gap.end_ms
        apart = piece.end_ms <= gap.begin_ms or piece.begin_ms >= gap.end_ms
        assert piece.observed == (not inside or gap.begin_ms == gap.end_ms)
        assert inside or apart or gap.begin_ms == gap.end_ms


def test_nothing_comes_of_no_time() -> None:
    assert intervals(5, 5, NO_GAP) == []
    assert intervals(6, 5, NO_GAP) == []


def test_a_tick_is_one_piece() -> None:
    assert intervals(HOUR_MS, HOUR_MS + 60_000, NO_GAP) == [
        Interval(HOUR_MS, HOUR_MS + 60_000, True)
    ]


def test_the_last_tick_without_a_gap_cuts_nothing() -> None:
    last_ms = HOUR_MS + 20

    assert intervals(HOUR_MS, HOUR_MS + 60_000, Gap(last_ms, last_ms)) == [
        Interval(HOUR_MS, HOUR_MS + 60_000, True)
    ]


def test_time_in_which_the_machine_slept_is_a_gap_and_jitter_is_not() -> None:
    assert gap_since(100, boot_elapsed_ms=60_500, running_elapsed_ms=60_000) == Gap(100, 100)
    assert gap_since(100, boot_elapsed_ms=6 * HOUR_MS, running_elapsed_ms=HOUR_MS) == Gap(
        100, 100 + 5 * HOUR_MS
    )

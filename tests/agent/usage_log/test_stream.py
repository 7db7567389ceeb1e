"""Streams: every record continues the one before it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.usage_log.stream import StreamEnd, advanced, break_of, stream_of
from tests.fakes.agent_store import use


def test_the_first_record_of_a_stream_begins_anywhere() -> None:
    assert break_of(None, replace(use(5), cumulative=60_000)) is None


def test_a_record_that_leaves_time_out_does_not_continue_a_time_meter() -> None:
    before = StreamEnd(last_end_ms=use(0).end_ms, cumulative=60_000)

    late = replace(use(2), cumulative=120_000)

    assert "begins" in str(break_of(before, late))


def test_a_count_may_leave_time_out_but_not_go_back() -> None:
    before = StreamEnd(last_end_ms=use(3).end_ms, cumulative=60_000)
    count = replace(use(5), meter="tok.out", cumulative=120_000)

    assert break_of(before, count) is None
    assert "ends" in str(break_of(before, replace(use(2), meter="tok.out", cumulative=120_000)))


@given(st.integers(1, 50))
def test_a_stream_ends_where_its_last_record_does(count: int) -> None:
    uses = [use(at) for at in range(count)]

    assert advanced({}, uses) == {stream_of(uses[0]): StreamEnd(uses[-1].end_ms, count * 60_000)}


@given(st.integers(1, 20), st.data())
def test_a_record_left_out_or_doubled_is_caught(count: int, data: st.DataObject) -> None:
    uses = [use(at) for at in range(count + 1)]
    at = data.draw(st.integers(0, count - 1))
    wrong = data.draw(st.sampled_from([uses[:at] + uses[at + 1 :], [*uses[: at + 1], *uses[at:]]]))

    with pytest.raises(AssertionError):
        advanced({}, wrong)

"""Tokens of an answer, however its bytes are cut."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gateway.token_count import EVENT_BYTES_MAX, Count, StreamCount, count_whole

USAGE = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}


def event(**fields: object) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def piece(text: str, **fields: object) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": text}}], **fields)


ANSWER = [piece("one"), piece(' "usage":{"prompt_tokens":999} '), piece("three")]
TOLD = event(choices=[], usage=USAGE)
DONE = b"data: [DONE]\n\n"


def counted(pieces: list[bytes], *, wants_usage: bool = False) -> tuple[Count, bytes, bool]:
    count = Count()
    stream = StreamCount(count, wants_usage=wants_usage, tokens_in_estimate=5)
    passed = b"".join(stream.passed(received) for received in pieces) + stream.rest()
    return count, passed, stream.finished


@given(cuts=st.lists(st.integers(0, 600), max_size=12), wants=st.booleans())
def test_a_stream_cut_anywhere_is_counted_alike_and_passed_on_whole(
    cuts: list[int], wants: bool
) -> None:
    whole = b"".join([*ANSWER, TOLD, DONE])
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    cut = [whole[begin:end] for begin, end in itertools.pairwise(edges)]

    count, passed, finished = counted([part for part in cut if part], wants_usage=wants)

    assert (count.tokens_in, count.tokens_out, count.exact) == (11, 3, True)
    assert passed == (whole if wants else b"".join([*ANSWER, DONE]))
    assert finished


def test_without_usage_the_pieces_are_the_count() -> None:
    count, passed, finished = counted([*ANSWER, DONE])

    assert (count.tokens_in, count.tokens_out, count.exact) == (5, 3, False)
    assert passed == b"".join([*ANSWER, DONE])
    assert finished


def test_usage_that_comes_with_every_piece_is_taken_as_it_comes() -> None:
    first = piece("one", usage={"prompt_tokens": 11, "completion_tokens": 1})
    second = piece("two", usage={"prompt_tokens": 11, "completion_tokens": 2})

    count, passed, finished = counted([first, second])

    assert (count.tokens_in, count.tokens_out, count.exact) == (11, 2, True)
    assert passed == first + second
    assert not finished


def test_a_usage_that_is_null_is_none_yet() -> None:
    count, passed, _ = counted([piece("one", usage=None), piece("two", usage=None)])

    assert (count.tokens_out, count.exact) == (2, False)
    assert passed.count(b"usage") == 2


def test_lines_may_end_as_in_the_days_of_the_teletype() -> None:
    crlf = b"".join([*ANSWER, TOLD, DONE]).replace(b"\n", b"\r\n")

    count, passed, finished = counted([crlf[:70], crlf[70:]])

    assert count.exact
    assert finished
    assert b"total_tokens" not in passed


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -1, "completion_tokens": 1},
        {"prompt_tokens": 1, "completion_tokens": 2**60},
        {"prompt_tokens": "1"},
        {"prompt_tokens": 1.5},
        [],
        "many",
    ],
)
def test_senseless_usage_is_not_taken(usage: object) -> None:
    count, _, _ = counted([piece("one"), event(choices=[], usage=usage), DONE])

    assert (count.tokens_in, count.tokens_out, count.exact) == (5, 1, False)


def test_an_event_without_end_does_not_grow_without_bound() -> None:
    count = Count()
    stream = StreamCount(count, wants_usage=False, tokens_in_estimate=5)

    passed = b"".join(stream.passed(b"x" * 65_536) for _ in range(EVENT_BYTES_MAX // 65_536 + 2))

    assert len(passed) > EVENT_BYTES_MAX
    assert len(stream.rest()) <= EVENT_BYTES_MAX


def test_an_answer_in_one_piece_tells_its_own_usage() -> None:
    count = Count()

    assert count_whole(json.dumps({"usage": USAGE}).encode(), count, tokens_in_estimate=5)
    assert (count.tokens_in, count.tokens_out, count.exact, count.begun) == (11, 3, True, True)


def test_an_answer_without_usage_is_estimated_by_its_text() -> None:
    count = Count()
    said = {"choices": [{"message": {"content": 'x"' * 10}}]}

    assert count_whole(json.dumps(said).encode(), count, tokens_in_estimate=5)
    assert (count.tokens_in, count.tokens_out, count.exact) == (5, 8, False)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"usage":', b"\xff", b"[" * 100_000])
def test_what_is_not_json_counts_nothing(body: bytes) -> None:
    count = Count()

    assert not count_whole(body, count, tokens_in_estimate=5)
    assert count == Count()

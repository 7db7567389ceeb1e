"""A body has one reading or is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gateway.json_body import (
    CONTAINERS_MAX,
    DEPTH_MAX,
    STRING_CHARACTERS_MAX,
    TEXTS_MAX,
    VALUES_MAX,
    read_json,
)
from protocol.refusal import Refusal

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), plain, max_size=5))
def test_what_json_spells_is_read_back(value: dict[str, object]) -> None:
    assert read_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a":1,"a":2}', id="a name twice"),
        pytest.param(b'{"b":{"a":1,"\\u0061":2}}', id="a name twice, escaped, inside"),
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b'{"a":-Infinity}', id="Infinity"),
        pytest.param(b'{"a":1e400}', id="a number too large"),
        pytest.param(b'{"a":' + b"9" * 5_000 + b"}", id="an integer of 5,000 digits"),
        pytest.param(b'{"a":"\\ud800"}', id="half a surrogate pair"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', id="half a surrogate pair in bytes"),
        pytest.param(b'{"a":"\xff"}', id="no UTF-8"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', id="a byte order mark"),
        pytest.param('{"a":1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"a":1}{"b":2}', id="two objects"),
        pytest.param(b'{"a":1,}', id="a comma too many"),
        pytest.param(b"[1]", id="a list"),
        pytest.param(b'"a"', id="a text"),
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, id="10,000 levels of objects"),
        pytest.param(b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", id="10,000 levels of lists"),
        pytest.param(b'{"a":' + b"[" * 10_000, id="10,000 levels and no end"),
        pytest.param(
            b'{"a":"' + b"x" * (STRING_CHARACTERS_MAX + 1) + b'"}', id="a string too long"
        ),
    ],
)
def test_a_body_with_two_readings_or_none_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        read_json(body)

    assert (refusal.value.status, refusal.value.code) == (400, "json_invalid")


def test_nesting_is_counted_outside_strings_alone() -> None:
    brackets = "[{" * 1_000 + '\\"'

    assert read_json(json.dumps({"a": brackets}).encode()) == {"a": brackets}


def test_nesting_is_allowed_up_to_the_limit() -> None:
    deepest = b'{"a":' + b"[" * (DEPTH_MAX - 1) + b"]" * (DEPTH_MAX - 1) + b"}"

    assert "a" in read_json(deepest)
    with pytest.raises(Refusal):
        read_json(deepest.replace(b"[]", b"[[]]"))


@pytest.mark.parametrize(
    ("element", "most"),
    [(b"[]", CONTAINERS_MAX), (b"{}", CONTAINERS_MAX), (b'"a"', TEXTS_MAX), (b"1", VALUES_MAX)],
    ids=["lists", "objects", "texts", "values"],
)
def test_a_body_of_too_many_parts_is_refused_before_it_is_read(element: bytes, most: int) -> None:
    def body(count: int) -> bytes:
        return b'{"a":[' + b",".join([element] * count) + b"]}"

    assert read_json(body(most - 2))
    with pytest.raises(Refusal) as refusal:
        read_json(body(most + 2))
    assert f"over {most}" in refusal.value.message


@given(st.text(alphabet='[]{}",\\ab', max_size=300))
def test_what_stands_in_a_text_is_not_counted(text: str) -> None:
    assert read_json(json.dumps({"a": text * 40}).encode()) == {"a": text * 40}

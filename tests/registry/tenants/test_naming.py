"""Names look like what they are, and two that look the same are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.refusal import Refusal
from registry.tenants.naming import name_key, read_name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Umoja", "umoja"),
        ("Umoja  Labs", "Umoja Labs"),
        ("ＵＭＯＪＡ", "umoja"),
        ("Café", "Cafe\u0301"),
    ],
)
def test_names_that_look_the_same_are_the_same(one: str, other: str) -> None:
    assert name_key(read_name(one)) == name_key(read_name(other))


@pytest.mark.parametrize(
    "name", ["", "  ", "x" * 81, "a\u202eb", "a\u200bb", "a\x00b", "a\x1b[31mb", "\ud800"]
)
def test_names_that_hide_something_are_refused(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_name(name, field="city")

    assert refused.value.field == "city"


@given(st.text(max_size=90))
def test_a_name_that_is_read_is_read_the_same_again(text: str) -> None:
    try:
        name = read_name(text)
    except Refusal:
        return

    assert read_name(name) == name
    assert not name.startswith(" ")

"""Lists are paged by key, and a page that cannot be found is refused."""

import base64
import json

import pytest
from flask import Flask

from protocol.refusal import Refusal
from registry.server.paging import cursor, page_of


def test_pages_follow_one_another_until_the_end() -> None:
    rows, seen, address = list(range(7)), [], "/things?filter=a%26b"
    for _ in range(3):
        with Flask("t").test_request_context(address):
            after = cursor()
            begin = 0 if after is None else int(after[0]) + 1
            shown, paging = page_of(rows[begin : begin + 4], lambda row: (row, "x"), size=3)
            seen += shown
            assert paging.first_url == (None if after is None else "/things?filter=a%26b")
            address = paging.next_url or ""

    assert seen == rows
    assert address == ""


@pytest.mark.parametrize(
    "text", ["!", "e30", "WzEuNV0", "W1tdXQ", "W3RydWVd", "bnVsbA", "x" * 2000, "é", "W1tb" * 120]
)
def test_a_page_that_cannot_be_found_is_refused(text: str) -> None:
    with (
        Flask("t").test_request_context("/things", query_string={"after": text}),
        pytest.raises(Refusal) as refused,
    ):
        cursor()

    assert refused.value.status == 400


@pytest.mark.parametrize("part", [2**53, -(2**53), 2**70, "\x00", "\ud800", "a\nb"])
def test_attack_95_a_key_that_no_database_takes_is_refused(part: str | int) -> None:
    text = base64.urlsafe_b64encode(json.dumps([part]).encode()).decode()

    with (
        Flask("t").test_request_context("/things", query_string={"after": text}),
        pytest.raises(Refusal) as refused,
    ):
        cursor()

    assert refused.value.status == 400

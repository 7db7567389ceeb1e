"""Addresses, secrets and how often one may try, as plain rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.refusal import Refusal
from registry.accounts.sign_in import (
    WINDOW_MS,
    Window,
    after_try,
    code_hash,
    code_text,
    masked_email,
    read_email,
    secret_text,
    too_often,
)


@pytest.mark.parametrize(
    ("text", "email"),
    [
        (" Ana@Umoja.Example ", "ana@umoja.example"),
        ("a@b.co", "a@b.co"),
        ("a+b@sub.umoja.example", "a+b@sub.umoja.example"),
    ],
)
def test_an_address_is_read_as_it_is_compared(text: str, email: str) -> None:
    assert read_email(text) == email


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ana",
        "ana@umoja",
        "@umoja.example",
        "ana@@umoja.example",
        "ana@umoja.example\r\nBcc: x@evil.example",
        "ana@umoja.example,x@evil.example",
        "ana @umoja.example",
        "аna@umoja.example",
        "ana@-umoja.example",
        "a" * 65 + "@umoja.example",
        "ana@" + "a" * 250 + ".example",
    ],
)
def test_what_mail_cannot_reach_or_could_be_two_addresses_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_email(text)

    assert refused.value.field == "email"


@pytest.mark.parametrize(
    ("email", "masked"),
    [("ana@umoja.example", "a…a@umoja.example"), ("a@b.co", "a…@b.co")],
)
def test_an_address_is_masked_for_bystanders(email: str, masked: str) -> None:
    assert masked_email(email) == masked


@given(st.binary(min_size=8, max_size=8))
def test_a_code_has_six_digits(entropy: bytes) -> None:
    code = code_text(entropy)

    assert len(code) == 6
    assert code.isdigit()


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_secrets_of_other_entropy_are_other_secrets(one: bytes, other: bytes) -> None:
    assert (secret_text(one) == secret_text(other)) == (one == other)


def test_a_code_is_hashed_with_its_attempt() -> None:
    assert code_hash("attempt-a", "123456") != code_hash("attempt-b", "123456")


def test_tries_are_counted_in_a_window_and_then_anew() -> None:
    window = None
    for number in range(1, 4):
        window = after_try(window, now_ms=1_000 + number)
        assert window.tries == number

    later = after_try(window, now_ms=1_001 + WINDOW_MS)

    assert later == Window(1, 1_001 + WINDOW_MS)


@given(st.integers(0, WINDOW_MS - 1))
def test_whoever_tried_too_often_is_told_how_long_to_wait(passed_ms: int) -> None:
    refusal = too_often(Window(9, 5_000), now_ms=5_000 + passed_ms)

    assert refusal.status == 429
    assert refusal.retry_after_s is not None
    assert 1 <= refusal.retry_after_s <= WINDOW_MS // 1000

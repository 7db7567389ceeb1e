"""An amount that could be read in two ways is not read at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.money import read_amount, show_amount
from protocol.refusal import Refusal


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("25", 25_000_000),
        ("25.5", 25_500_000),
        (" 25.00 ", 25_000_000),
        ("0.000001", 1),
        ("0", 0),
        ("9999999999.999999", 9_999_999_999_999_999),
    ],
)
def test_an_amount_is_read(text: str, micros: int) -> None:
    assert read_amount(text) == micros


@pytest.mark.parametrize(
    "text",
    ["", " ", "-1", "+1", "1e3", "1,000", "1.", ".5", "1.0000001", "0x10", "NaN", "inf", "٣", "１",
     "1 000", "$5", "12345678901", "1\n2", "1_0", "2²"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_amount(text, field="other_amount")

    assert (refused.value.code, refused.value.field) == ("amount_unreadable", "other_amount")


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (0, "$0.00"),
        (5_000_000, "$5.00"),
        (1_234_567_890_000, "$1,234,567.89"),
        (1, "$0.000001"),
        (10_000, "$0.01"),
        (-12_345, "-$0.012345"),
    ],
)
def test_an_amount_is_shown_without_hiding_anything(micros: int, shown: str) -> None:
    assert show_amount(micros) == shown


@given(st.integers(0, 10**16 - 1))
def test_what_is_shown_is_read_back(micros: int) -> None:
    assert read_amount(show_amount(micros).replace("$", "").replace(",", "")) == micros

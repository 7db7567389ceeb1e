"""Money: whole micros (10^-6) of an account's currency, in an int64."""

import re
from typing import NewType

from protocol.refusal import Refusal

Micros = NewType("Micros", int)

MICROS_PER_UNIT = 1_000_000
MICROS_PER_CENT = 10_000
MICROS_MAX = 2**63 - 1
AMOUNT_PATTERN = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,6}))?", re.ASCII)
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£"}


def read_amount(text: str, *, field: str = "amount") -> Micros:
    """Return the micros of an amount a person typed: `25`, `25.5` or `0.000001`.

    Refuses signs, exponents, separators and any digit that is not ASCII: an amount that could be
    read in two ways is not read at all.
    """
    match = AMOUNT_PATTERN.fullmatch(text.strip())
    if match is None:
        raise Refusal(
            code="amount_unreadable",
            status=400,
            message=f"{field}: not an amount of money.",
            hint="Write digits with at most six decimals after a point, for example 25.00.",
            field=field,
        )
    units, decimals = match.group(1), match.group(2) or ""
    return Micros(int(units) * MICROS_PER_UNIT + int(decimals.ljust(6, "0")))


def show_amount(micros: int, currency: str = "USD") -> str:
    """Return the amount as text: cents, and all six decimals where cents would hide something."""
    sign = "-" if micros < 0 else ""
    units, rest = divmod(abs(micros), MICROS_PER_UNIT)
    cents, below = divmod(rest, MICROS_PER_CENT)
    decimals = f"{rest:06d}" if below else f"{cents:02d}"
    symbol = SYMBOLS.get(currency, f"{currency} ")
    return f"{sign}{symbol}{units:,}.{decimals}"

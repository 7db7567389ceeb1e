"""What is spent an hour besides the price of what runs: an average that forgets, in integers.

Every charge counts less the older it is, by e^(-age / 1 h).  As the integral of that is one hour,
the sum of what still counts *is* the micros spent an hour.  What runs has a price an hour that is
known exactly and is not averaged: the average of a constant is the constant.
"""

from dataclasses import dataclass

from protocol.clock import HOUR_MS

TIME_CONSTANT_MS = HOUR_MS

ONE = 1 << 60
"""Fractions are counted in units of 2^-60."""

TERMS_MAX = 24
"""x^24 / 24! is below 2^-60 for x of at most 1."""

FORGOTTEN_HOURS = 48
"""e^-48 of any sum of micros that the ledger can hold is less than one."""


@dataclass(frozen=True, slots=True)
class Burn:
    """micros_per_hour as of a moment."""

    micros_per_hour: int = 0
    at_ms: int = 0


def burned(burn: Burn, spent_micros: int, *, now_ms: int) -> Burn:
    """Return the average after `spent_micros` more were charged; time that went back adds none."""
    assert spent_micros >= 0
    age_ms = max(now_ms - burn.at_ms, 0)
    left = burn.micros_per_hour * remaining(age_ms) // ONE
    return Burn(left + spent_micros, max(now_ms, burn.at_ms))


def remaining(age_ms: int) -> int:
    """Return e^(-age / time constant) in units of 2^-60, rounded down."""
    assert age_ms >= 0
    hours, rest_ms = divmod(age_ms, TIME_CONSTANT_MS)
    if hours >= FORGOTTEN_HOURS:
        return 0
    power = _inverse_exponential(TIME_CONSTANT_MS)
    left = _inverse_exponential(rest_ms)
    for _ in range(hours):
        left = left * power // ONE
    return left


def _inverse_exponential(part_ms: int) -> int:
    """Return 1 / e^x for x = part / time constant, from 0 to 1, by the series of e^x."""
    total = term = ONE
    for n in range(1, TERMS_MAX):
        term = term * part_ms // (TIME_CONSTANT_MS * n)
        total += term
    return ONE * ONE // total

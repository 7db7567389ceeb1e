"""What usage costs: a rational price per meter, and charges that telescope.

A price version is immutable and takes effect on an hour edge.  A charge is the difference of two
floors over the stream's cumulative count, so cutting usage into records never changes the bill and
the whole error of a stream stays below one micro per price version.
"""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from protocol.clock import HOUR_MS
from protocol.money import Micros

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Short = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Price(msgspec.Struct, frozen=True):
    """`num` micros for `den` units of `meter` on `sku`, from `effective_at_ms` on."""

    sku: Short
    meter: Short
    version: Count
    num: Count
    den: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    effective_at_ms: Count


def charge(price: Price, *, before: int, after: int) -> Micros:
    """Return what a stream's growth from cumulative `before` to `after` units costs."""
    assert 0 <= before <= after
    return Micros(after * price.num // price.den - before * price.num // price.den)


def worst_case(price: Price, quantity: int) -> Micros:
    """Return the most that `quantity` units can cost, wherever in a stream they fall."""
    assert quantity >= 0
    return Micros(-(-quantity * price.num // price.den))


def price_at(prices: Iterable[Price], *, sku: str, meter: str, at_ms: int) -> Price | None:
    """Return the version in force at `at_ms`: the latest that had taken effect by then."""
    in_force = [
        price
        for price in prices
        if price.sku == sku and price.meter == meter and price.effective_at_ms <= at_ms
    ]
    return max(in_force, key=lambda price: (price.effective_at_ms, price.version), default=None)


def hourly_micros(price: Price, accelerators: int) -> Micros:
    """Return what holding so many accelerators costs an hour, for a price of `gpu.ms`."""
    return Micros(accelerators * HOUR_MS * price.num // price.den)

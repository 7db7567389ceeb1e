"""Cutting usage never changes the bill, and the latest price that has begun is in force."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from protocol.price import Price, charge, hourly_micros, price_at, worst_case

HOUR_MS = 3_600_000
prices = st.builds(
    Price,
    sku=st.just("s"),
    meter=st.just("m"),
    version=st.just(1),
    num=st.integers(0, 10**9),
    den=st.integers(1, 10**9),
    effective_at_ms=st.just(0),
)


@given(price=prices, steps=st.lists(st.integers(0, 10**12), max_size=30))
def test_cutting_usage_into_records_never_changes_the_bill(price: Price, steps: list[int]) -> None:
    counts = [0, *itertools.accumulate(steps)]

    cut = sum(charge(price, before=a, after=b) for a, b in itertools.pairwise(counts))

    assert cut == charge(price, before=0, after=counts[-1]) == counts[-1] * price.num // price.den


@given(price=prices, before=st.integers(0, 10**12), quantity=st.integers(0, 10**12))
def test_no_record_costs_more_than_its_worst_case(price: Price, before: int, quantity: int) -> None:
    cost = charge(price, before=before, after=before + quantity)

    assert 0 <= cost <= worst_case(price, quantity) <= cost + 1


def test_an_hour_of_two_accelerators_costs_twice_the_price() -> None:
    assert hourly_micros(Price("s", "gpu.ms", 1, 2_500_000, HOUR_MS, 0), 2) == 5_000_000


def test_the_latest_version_that_has_begun_is_in_force() -> None:
    versions = [Price("s", "m", at, at, 1, at * HOUR_MS) for at in (1, 3, 2)]
    others = [Price("s", "n", 9, 9, 1, 0), Price("r", "m", 9, 9, 1, 0)]

    def version(at_ms: int) -> int | None:
        found = price_at([*others, *versions], sku="s", meter="m", at_ms=at_ms)
        return found.version if found else None

    assert version(HOUR_MS - 1) is None
    assert version(HOUR_MS) == 1
    assert version(3 * HOUR_MS - 1) == 2
    assert version(10 * HOUR_MS) == 3

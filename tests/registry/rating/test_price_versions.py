"""A price that changes while a stream runs: no cut changes the bill, no version errs by a micro."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from protocol.clock import HOUR_MS
from protocol.price import Price, charge
from registry.rating.price_book import PriceBook

SKU, METER = "h200.1x", "gpu.ms"

prices = st.lists(
    st.tuples(st.integers(0, 10**9), st.integers(1, 10**9)), min_size=1, max_size=5
).map(
    lambda found: [
        Price(SKU, METER, at + 1, num, den, at * HOUR_MS) for at, (num, den) in enumerate(found)
    ]
)
quantities = st.lists(st.integers(0, 10**9), min_size=1, max_size=6)


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[Price], list[list[int]]]:
    """Versions an hour apart, and the records of each version's hour."""
    versions = draw(prices)
    return versions, [draw(quantities) for _ in versions]


@given(stream=streams())
def test_cutting_records_never_changes_the_bill_of_any_version(
    stream: tuple[list[Price], list[list[int]]],
) -> None:
    versions, hours = stream
    book = PriceBook(versions)

    cut = whole = cumulative = 0
    for at, hour in enumerate(hours):
        price = book.price_at(SKU, METER, at * HOUR_MS)
        begin = cumulative
        for quantity in hour:
            cut += charge(price, before=cumulative, after=cumulative + quantity)
            cumulative += quantity
        whole += charge(price, before=begin, after=cumulative)

    assert cut == whole


@given(stream=streams())
def test_the_error_is_below_one_micro_per_version(
    stream: tuple[list[Price], list[list[int]]],
) -> None:
    versions, hours = stream

    cumulative = 0
    for price, hour in zip(versions, hours, strict=True):
        used = sum(hour)
        billed = charge(price, before=cumulative, after=cumulative + used)
        exact = Fraction(used * price.num, price.den)
        assert abs(billed - exact) < 1
        cumulative += used


@given(versions=prices, at=st.integers(0, 5 * HOUR_MS - 1))
def test_an_hour_has_one_price(versions: list[Price], at: int) -> None:
    book = PriceBook(versions)

    assert book.price_at(SKU, METER, at) == book.price_at(SKU, METER, at - at % HOUR_MS)

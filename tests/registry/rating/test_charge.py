"""Who bears what, and which price is in force."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.price import Price
from protocol.refusal import Refusal
from protocol.usage import METERS
from registry.rating.charge import CLASSES, count_until, divided
from registry.rating.price_book import PriceBook

HOUR_MS = 3_600_000
money = st.integers(0, 10**15)


@given(rated=money, share=st.integers(0, 100), remaining=st.integers(-(10**6), 10**15))
def test_a_rated_amount_is_divided_without_rest(rated: int, share: int, remaining: int) -> None:
    due = rated * share // 100

    borne = divided(rated=rated, due=due, remaining=remaining)

    assert borne.charged + borne.overrun + borne.late == rated
    assert 0 <= borne.charged <= max(remaining, 0)
    assert borne.late == rated - due
    assert min(borne.overrun, borne.late) >= 0


@given(
    begin_ms=st.integers(0, 10**6),
    width_ms=st.integers(1, 300_000),
    before=money,
    quantity=money,
    moments=st.lists(st.integers(0, 2 * 10**6), min_size=2, max_size=6),
)
def test_the_count_at_a_moment_grows_with_it_and_stays_inside_the_record(
    begin_ms: int, width_ms: int, before: int, quantity: int, moments: list[int]
) -> None:
    end_ms, after = begin_ms + width_ms, before + quantity

    counts = [
        count_until(at_ms, begin_ms=begin_ms, end_ms=end_ms, before=before, after=after)
        for at_ms in sorted(moments)
    ]

    assert all(a <= b for a, b in itertools.pairwise(counts))
    assert all(before <= count <= after for count in counts)
    for moment_ms, count in ((begin_ms, before), (end_ms, after), (None, after)):
        assert count == count_until(
            moment_ms, begin_ms=begin_ms, end_ms=end_ms, before=before, after=after
        )


def test_every_meter_has_a_class() -> None:
    assert set(CLASSES) == METERS


@given(st.permutations([(1, 1), (2, 3), (3, 3), (4, 9)]), st.integers(0, 12))
def test_the_latest_version_that_has_begun_is_in_force(
    versions: list[tuple[int, int]], hour: int
) -> None:
    book = PriceBook(Price("s", "m", version, 1, 1, at * HOUR_MS) for version, at in versions)
    begun = [(at, version) for version, at in versions if at <= hour]

    if begun:
        assert book.price_at("s", "m", hour * HOUR_MS).version == max(begun)[1]
    else:
        with pytest.raises(Refusal, match="price_missing"):
            book.price_at("s", "m", hour * HOUR_MS)


def test_a_meter_without_a_price_is_refused_with_what_to_do() -> None:
    with pytest.raises(Refusal) as refused:
        PriceBook([Price("s", "m", 1, 1, 1, 0)]).price_at("s", "n", 5)

    assert (refused.value.code, refused.value.status) == ("price_missing", 409)
    assert "catalogue" in refused.value.hint

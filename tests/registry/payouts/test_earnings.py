"""What a page says a site earned is what was posted, however it is cut into days."""

from hypothesis import given
from hypothesis import strategies as st

from registry.ledger.postings import site_share
from registry.payouts.earnings import (
    Earning,
    StreamDay,
    StreamKey,
    earnings,
    forecast,
    sold_percent,
    summed,
)

KEYS = [
    StreamKey("n_1", 0, "a_1", "gpu.ms", "h200.1x"),
    StreamKey("n_1", 0, "a_2", "gpu.ms", "h200.1x"),
    StreamKey("n_2", 1, "k_1", "tok.out", "llama"),
]
DAY_MS = 86_400_000

charges = st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 10**9)), min_size=1, max_size=40)
rates = st.integers(0, 10_000)


@given(found=charges, basis_points=rates, cut=st.integers(0, 40))
def test_days_and_months_add_up_to_what_was_posted(
    found: list[tuple[StreamKey, int]], basis_points: int, cut: int
) -> None:
    days = [StreamDay(key, at * DAY_MS, 1, micros) for at, (key, micros) in enumerate(found)]
    before: dict[StreamKey, int] = {}
    for day in days[:cut]:
        before[day.key] = before.get(day.key, 0) + day.charged

    first = summed(earnings(days[:cut], {}, basis_points=basis_points))
    second = summed(earnings(days[cut:], before, basis_points=basis_points))

    posted = sum(
        site_share(basis_points, before=0, after=sum(micros for key, micros in found if key == one))
        for one in KEYS
    )
    assert first.share + second.share == posted
    assert first.charged + second.charged == sum(micros for _, micros in found)
    assert 0 <= second.share <= second.charged


def test_streams_of_the_same_shape_are_one_row_that_names_no_owner() -> None:
    days = [StreamDay(KEYS[0], 0, 3_600_000, 100), StreamDay(KEYS[1], 0, 1_800_000, 51)]

    found = earnings(days, {}, basis_points=5_000)

    assert found == [Earning(0, "n_1", "h200.1x", "gpu.ms", 5_400_000, 151, 75)]


def test_gpu_time_and_energy_are_summed_by_their_meters() -> None:
    found = [
        Earning(0, "n_1", "x", "gpu.ms", 3_600_000, 10, 7),
        Earning(0, "n_1", "x", "en.mj", 7_200_000, 0, 0),
        Earning(0, "n_1", "x", "tok.out", 9, 5, 3),
    ]

    sums = summed(found)

    assert (sums.gpu_ms, sums.energy_wh, sums.charged, sums.share) == (3_600_000, 2, 15, 10)


def test_what_was_sold_is_a_part_of_what_was_offered() -> None:
    assert sold_percent(50, offered_ms=200) == 25
    assert sold_percent(50, offered_ms=0) is None


@given(share=st.integers(0, 10**12), passed=st.integers(1, 30))
def test_a_forecast_is_the_pace_so_far_until_the_end(share: int, passed: int) -> None:
    said = forecast(share, begin_ms=0, end_ms=30 * DAY_MS, now_ms=passed * DAY_MS)

    if passed == 30:
        assert said is None
    else:
        assert said is not None
        assert said >= share


def test_before_its_begin_nothing_is_forecast() -> None:
    assert forecast(5, begin_ms=10, end_ms=20, now_ms=10) is None

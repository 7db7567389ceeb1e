"""Hours become lines: one per stream and price, with nothing lost between them."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.price import Price, charge
from registry.statements.segments import HourUse, StreamName, segments

HOUR_MS = 3_600_000
STREAM = StreamName("n_1", 0, "a_1", "gpu.ms", "h100")
PRICES = [
    Price("h100", "gpu.ms", 1, 2_500_001, HOUR_MS, 0),
    Price("h100", "gpu.ms", 2, 3_100_003, HOUR_MS, 5 * HOUR_MS),
]
hours = st.lists(
    st.tuples(st.integers(0, 10), st.integers(0, 10**7)), max_size=8, unique_by=lambda one: one[0]
)


@given(hours, st.integers(0, 10**9))
def test_lines_follow_each_other_and_come_to_what_each_hour_comes_to(
    used: list[tuple[int, int]], before: int
) -> None:
    made, count, due = [], before, 0
    for hour, quantity in sorted(used):
        price = PRICES[hour >= 5]
        charged = charge(price, before=count, after=count + quantity)
        made.append(HourUse(STREAM, "p_1", hour * HOUR_MS, quantity, charged))
        count += quantity
        due += charged

    found = segments(made, {STREAM: before}, PRICES)

    assert sum(line.charged for line in found) == due
    assert all(line.unbilled == 0 for line in found)
    counts = [before, *(line.after for line in found)]
    assert [line.before for line in found] == counts[:-1]
    assert counts[-1] == count
    assert len({line.price.version for line in found}) == len(found)


def test_what_was_not_charged_is_told_apart() -> None:
    (line,) = segments([HourUse(STREAM, "p_1", 0, HOUR_MS, 2_000_000)], {}, PRICES)

    assert line.unbilled == 500_001


def test_streams_are_kept_apart() -> None:
    other = StreamName("n_1", 1, "a_1", "gpu.ms", "h100")

    found = segments(
        [HourUse(STREAM, "p_1", 0, 5, 0), HourUse(other, "p_1", HOUR_MS, 7, 0)], {other: 3}, PRICES
    )

    assert [(line.stream, line.before, line.after) for line in found] == [
        (STREAM, 0, 5),
        (other, 3, 10),
    ]

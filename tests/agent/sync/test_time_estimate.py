"""What time it is at the registry, whatever the way there and back was like."""

from hypothesis import given
from hypothesis import strategies as st

from agent.sync.time_estimate import Estimate, estimate

ways = st.integers(0, 60_000)


@given(st.integers(-(10**12), 10**12), ways, ways, st.integers(0, 60_000), st.integers(0, 10**9))
def test_the_estimate_is_never_further_off_than_it_says(
    offset_ms: int, there_ms: int, back_ms: int, thinking_ms: int, sent_boot_ms: int
) -> None:
    received_at_ms = sent_boot_ms + there_ms + offset_ms
    found = estimate(
        sent_boot_ms=sent_boot_ms,
        received_at_ms=received_at_ms,
        answered_at_ms=received_at_ms + thinking_ms,
        received_boot_ms=sent_boot_ms + there_ms + thinking_ms + back_ms,
    )

    assert found is not None
    assert abs(found.offset_ms - offset_ms) <= found.error_ms
    assert found.error_ms == -(-(there_ms + back_ms) // 2)


def test_thinking_for_long_is_no_error() -> None:
    found = estimate(
        sent_boot_ms=1_000, received_at_ms=51_010, answered_at_ms=59_010, received_boot_ms=9_020
    )

    assert found == Estimate(offset_ms=50_000, error_ms=10)


def test_moments_that_contradict_each_other_say_nothing() -> None:
    backwards = estimate(
        sent_boot_ms=0, received_at_ms=500, answered_at_ms=400, received_boot_ms=100
    )
    longer_than_the_call = estimate(
        sent_boot_ms=0, received_at_ms=0, answered_at_ms=200, received_boot_ms=100
    )

    assert backwards is None
    assert longer_than_the_call is None

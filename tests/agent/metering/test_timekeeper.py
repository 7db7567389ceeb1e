"""The node's time: nobody steps it, it never goes back, and it draws near to the registry's."""

from hypothesis import given
from hypothesis import strategies as st

from agent.metering.timekeeper import SLEW_PPM, NodeClock, TimeState, begun, corrected

DAY_MS = 86_400_000
STATE = TimeState(
    boot_id="boot", anchor_wall_ms=1_000_000, anchor_boot_ms=500, correction_ms=0, trusted=True
)


def test_time_passes_as_boottime_does() -> None:
    assert STATE.now_ms(500) == 1_000_000
    assert STATE.now_ms(90_500) == 1_090_000


def test_a_step_of_the_machines_clock_changes_nothing_within_a_boot() -> None:
    state = begun(boot_id="boot", boot_ms=0, wall_ms=5 * DAY_MS, last=None, floor_ms=0)

    again = begun(boot_id="boot", boot_ms=10, wall_ms=7 * DAY_MS, last=state, floor_ms=0)

    assert again == state


def test_a_dead_clock_after_a_reboot_does_not_take_time_back() -> None:
    state = begun(boot_id="second", boot_ms=0, wall_ms=0, last=STATE, floor_ms=9_000)

    assert state.now_ms(0) == 9_000
    assert not state.trusted


def test_the_first_word_of_the_registry_in_a_boot_sets_the_time_at_once() -> None:
    state = begun(boot_id="boot", boot_ms=0, wall_ms=0, last=None, floor_ms=0)

    after = corrected(state, boot_ms=100, registry_ms=5 * DAY_MS, floor_ms=0)

    assert after.now_ms(100) == 5 * DAY_MS
    assert after.trusted


def test_later_words_only_draw_it_near_by_half_a_per_mille() -> None:
    after = corrected(STATE, boot_ms=500, registry_ms=1_000_100, floor_ms=0)

    assert after.now_ms(500) == 1_000_000
    assert after.now_ms(500 + 100_000) == 1_100_050
    assert after.now_ms(500 + 200_000) == 1_200_100
    assert after.now_ms(500 + 900_000) == 1_900_100


def test_a_clock_two_days_ahead_at_boot_is_taken_back_by_the_first_word_and_not_later() -> None:
    guess = begun(boot_id="second", boot_ms=0, wall_ms=3 * DAY_MS, last=STATE, floor_ms=9_000)
    clock = NodeClock(guess, boottime=lambda: 100, floor_ms=9_000)
    assert clock.now_ms() == 3 * DAY_MS + 100

    clock.correct(boot_ms=100, registry_ms=DAY_MS)
    assert (clock.now_ms(), clock.trusted) == (DAY_MS, True)

    clock.correct(boot_ms=100, registry_ms=0)
    assert clock.now_ms() == DAY_MS


@given(
    st.lists(st.tuples(st.integers(0, DAY_MS), st.integers(-2 * DAY_MS, 2 * DAY_MS)), max_size=20)
)
def test_whatever_the_registry_says_time_neither_goes_back_nor_runs_away(
    steps: list[tuple[int, int]],
) -> None:
    boot_ms, last_ms = 0, 1_000_000
    clock = NodeClock(STATE, boottime=lambda: boot_ms, floor_ms=0)
    boot_ms = 500
    for passed_ms, wrong_ms in steps:
        before_ms = clock.now_ms()
        boot_ms += passed_ms
        now_ms = clock.now_ms()
        assert now_ms >= last_ms
        assert abs(now_ms - before_ms - passed_ms) <= passed_ms * SLEW_PPM // 1_000_000 + 1
        last_ms = now_ms
        clock.correct(boot_ms=boot_ms, registry_ms=now_ms + wrong_ms)


@given(st.integers(-DAY_MS, DAY_MS))
def test_a_trusted_clock_catches_up_in_the_end(wrong_ms: int) -> None:
    after = corrected(STATE, boot_ms=500, registry_ms=1_000_000 + wrong_ms, floor_ms=0)
    long_ms = DAY_MS * 2_001

    assert after.now_ms(500 + long_ms) == 1_000_000 + long_ms + wrong_ms

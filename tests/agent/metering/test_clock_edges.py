"""Suspension, steps of the machine's clock, leap days and hour edges: billed is what ran."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.metering.timekeeper import NodeClock, TimeState, begun
from protocol.clock import HOUR_MS, hour_of
from protocol.lease import Lease
from tests.agent.metering.rig import Node
from tests.fakes.agent_store import migrated

LEAP_DAY_MS = 1_835_395_200_000
"""2028-02-29 00:00 UTC."""

DAY_MS = 24 * HOUR_MS
LEASE = Lease(lease_id=1, tenant_id="t_1", amount=10**9, expires_in_ms=5 * DAY_MS)


@pytest.mark.parametrize(
    "edge_ms",
    [LEAP_DAY_MS, LEAP_DAY_MS + DAY_MS, 1_798_761_600_000, 1_774_746_000_000],
    ids=["into a leap day", "out of it", "into a year", "a change of summer time"],
)
def test_a_day_or_hour_that_is_special_to_people_is_not_to_the_log(
    tmp_path: Path, edge_ms: int
) -> None:
    with migrated(tmp_path) as db:
        node = Node(db, started_ms=edge_ms - 90_000)
        node.grant(LEASE)
        node.run()
        for _ in range(4):
            node.passed(60_000).seen().tick()

        uses = node.uses()

    assert sum(use.quantity for use in uses) == 240_000
    assert [use.end_ms for use in uses[:-1]] == [use.begin_ms for use in uses[1:]]
    assert edge_ms in {use.end_ms for use in uses}
    assert all(hour_of(use.begin_ms) == hour_of(use.end_ms - 1) for use in uses)


@pytest.mark.parametrize("step_ms", [2 * DAY_MS, -2 * DAY_MS, 3_600_000, -1])
def test_a_step_of_the_machines_clock_changes_nothing_that_is_billed(step_ms: int) -> None:
    boot_ms = 0
    state = begun(boot_id="boot", boot_ms=0, wall_ms=LEAP_DAY_MS, last=None, floor_ms=0)
    clock = NodeClock(state, boottime=lambda: boot_ms, floor_ms=0)
    clock.correct(boot_ms=0, registry_ms=LEAP_DAY_MS)
    boot_ms = 60_000
    before = clock.now_ms()

    # The agent restarts after the step: the same boot, another wall clock.
    stepped = begun(
        boot_id="boot", boot_ms=boot_ms, wall_ms=before + step_ms, last=clock.state, floor_ms=before
    )
    again = NodeClock(stepped, boottime=lambda: boot_ms, floor_ms=before)

    assert again.now_ms() == before == LEAP_DAY_MS + 60_000
    boot_ms = 120_000
    assert again.now_ms() == LEAP_DAY_MS + 120_000


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(st.integers(1_000, 400_000), st.one_of(st.just(0), st.integers(1_001, 10**7))),
        min_size=1,
        max_size=12,
    )
)
def test_whatever_the_machine_slept_it_is_billed_for_what_it_ran(
    tmp_path_factory: pytest.TempPathFactory, stretches: list[tuple[int, int]]
) -> None:
    with migrated(tmp_path_factory.mktemp("store")) as db:
        node = Node(db, started_ms=LEAP_DAY_MS - HOUR_MS)
        node.grant(LEASE)
        node.run()
        node.tick()
        ran_ms = 0
        for awake_ms, asleep_ms in stretches:
            node.slept(asleep_ms).passed(awake_ms).seen().tick()
            ran_ms += awake_ms

        uses = node.uses()

    assert sum(use.quantity for use in uses) == ran_ms
    assert all(one.end_ms == other.begin_ms for one, other in itertools.pairwise(uses))


@given(st.lists(st.integers(0, 10**7), max_size=30), st.integers(-299_000, 299_000))
def test_durations_are_boottime_to_half_a_per_mille_whatever_is_corrected(
    steps: list[int], wrong_ms: int
) -> None:
    boot_ms = 0
    state = TimeState("boot", LEAP_DAY_MS, 0, 0, True)
    clock = NodeClock(state, boottime=lambda: boot_ms, floor_ms=0)
    for step_ms in steps:
        before_ms = clock.now_ms()
        clock.correct(boot_ms=boot_ms, registry_ms=before_ms + wrong_ms)
        boot_ms += step_ms

        assert abs(clock.now_ms() - before_ms - step_ms) <= step_ms // 2_000 + 1

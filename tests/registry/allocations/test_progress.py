"""What a node's report moves, in every state."""

from itertools import product
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from protocol.lifecycle import FINAL, Event, State, moved
from protocol.observed import ObservedAllocation, Phase
from registry.allocations.progress import FAILURES, fact, happening

reports = st.builds(
    ObservedAllocation,
    allocation_id=st.just("a_1"),
    phase=st.sampled_from(
        ["pulling", "starting", "probing", "running", "stopping", "exited", "absent"]
    ),
    since_ms=st.integers(0, 10**12),
    detail=st.sampled_from(["", "pulled 3 of 9"]),
    ready_at_ms=st.one_of(st.none(), st.integers(0, 10**12)),
    exit_code=st.one_of(st.none(), st.integers(0, 255)),
    failure=st.one_of(st.none(), st.sampled_from([*FAILURES, "brand_new"])),
)


def report(**values: object) -> ObservedAllocation:
    return ObservedAllocation(allocation_id="a_1", since_ms=1, **values)


def test_running_counts_once_it_is_ready() -> None:
    waiting = report(phase="running")
    ready = report(phase="running", ready_at_ms=5)

    assert happening(State.PROVISIONING, waiting) is None
    moved = happening(State.PROVISIONING, ready)
    assert moved is not None
    assert moved.event is Event.READY
    assert happening(State.ACTIVE, ready) is None


def test_a_failure_is_told_in_words_with_its_code() -> None:
    seen = report(phase="exited", failure="exited", exit_code=137)

    moved = happening(State.ACTIVE, seen)

    assert moved is not None
    assert (moved.event, moved.reason) == (Event.FAILED, "exited")
    assert moved.fact == "The container ended by itself. Exit code 137."


def test_a_lease_that_ended_is_no_failure() -> None:
    moved = happening(State.ACTIVE, report(phase="absent", failure="lease"))

    assert moved is not None
    assert moved.event is Event.LEASE_ENDED


def test_gone_after_a_release_is_released() -> None:
    moved = happening(State.RELEASING, report(phase="absent"))

    assert moved is not None
    assert moved.event is Event.GONE


@given(state=st.sampled_from(list(State)), seen=reports)
def test_no_report_moves_a_final_state_or_leaves_a_move_unexplained(
    state: State, seen: ObservedAllocation
) -> None:
    moved = happening(state, seen)

    assert fact(seen)
    if state in FINAL:
        assert moved is None
    if moved is not None:
        assert moved.fact


FAILED_OR_NOT = (None, *FAILURES, "brand_new")
RESTING = FINAL | {State.STOPPED, State.INSUFFICIENT_BALANCE}
"""States that no node has anything to do in: the rest is a person's to say."""


def end_of(state: State, seen: ObservedAllocation) -> State:
    """The state that a node's report ends in when it is said again and again, as nodes do."""
    while (happened := happening(state, seen)) is not None:
        state = moved(state, happened.event)
    return state


def test_no_end_that_a_node_reports_leaves_a_workload_that_waits_for_it() -> None:
    waiting = {State.RELEASING, State.RELEASE_FAILED, State.STOPPING}
    for state, failure in product(waiting, FAILED_OR_NOT):
        assert end_of(state, report(phase="absent", failure=failure)) in RESTING, (state, failure)


def test_no_end_that_a_node_reports_leaves_a_workload_that_runs() -> None:
    running = {State.PROVISIONING, State.ACTIVE}
    for state, phase, failure in product(running, ("exited", "absent"), FAILED_OR_NOT):
        stays = phase == "absent" and failure is None
        ended = end_of(state, report(phase=phase, failure=failure, exit_code=1))
        assert (ended in RESTING) is not stays, (state, phase, failure)


def test_a_workload_that_rests_stays_where_it_is_whatever_a_node_says() -> None:
    for state, phase, failure in product(RESTING, get_args(Phase), FAILED_OR_NOT):
        assert end_of(state, report(phase=phase, failure=failure)) is state, (state, phase, failure)


def test_gone_after_it_ended_by_itself_is_released_and_says_why_it_ended() -> None:
    seen = report(phase="absent", failure="exited", exit_code=3, detail="It ended with code 3.")

    happened = happening(State.RELEASING, seen)

    assert happened is not None
    assert (happened.event, happened.reason) == (Event.GONE, "exited")
    assert happened.fact.startswith("The container ended by itself. Exit code 3. That was before")


def test_why_it_ended_is_said_once() -> None:
    seen = report(phase="exited", failure="exited", exit_code=7, detail="It ended with code 7.")

    assert fact(seen) == "The container ended by itself. Exit code 7."
    assert "layer 3" in fact(report(phase="exited", failure="image_pull_failed", detail="layer 3"))

"""What a node's report moves, in every state."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.lifecycle import FINAL, Event, State
from protocol.observed import ObservedAllocation
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

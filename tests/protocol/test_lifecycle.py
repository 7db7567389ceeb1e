"""Every sequence of events leads somewhere or is refused; nothing leaves an end."""

import itertools

import pytest

from protocol.lifecycle import (
    CHARGING,
    FINAL,
    HOLDING,
    MOVES,
    Event,
    State,
    may_move,
    moved,
)
from protocol.refusal import Refusal

LENGTH = 5


def test_every_sequence_of_events_follows_the_table_or_is_refused() -> None:
    reached = {State.REQUESTED}
    for events in itertools.product(Event, repeat=LENGTH):
        state = State.REQUESTED
        for event in events:
            if not may_move(state, event):
                with pytest.raises(Refusal) as refused:
                    moved(state, event)
                assert (refused.value.code, refused.value.status) == ("move_impossible", 409)
                break
            assert moved(state, event) is MOVES[state, event]
            state = moved(state, event)
            reached.add(state)
    assert reached == set(State)


def test_every_state_can_be_reached_and_left_but_the_ends() -> None:
    left = {state for state, _ in MOVES}
    entered = {State.REQUESTED, *MOVES.values()}

    assert entered == set(State)
    assert left == set(State) - FINAL


def test_from_every_state_that_is_no_end_an_end_can_be_reached() -> None:
    ending = set(FINAL)
    for _ in State:
        ending |= {state for (state, _), after in MOVES.items() if after in ending}

    assert ending == set(State)


def test_a_release_can_be_asked_for_wherever_work_may_stand() -> None:
    assert {state for state in State if may_move(state, Event.RELEASE)} == set(State) - FINAL - {
        State.RELEASING
    }


def test_only_active_work_is_charged_and_what_is_charged_holds_accelerators() -> None:
    assert frozenset({State.ACTIVE}) == CHARGING
    assert CHARGING <= HOLDING
    assert not HOLDING & FINAL


def test_every_event_has_a_place() -> None:
    assert {event for _, event in MOVES} == set(Event)

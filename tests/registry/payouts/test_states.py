"""A payout moves by its table, and whatever is said of it in any order, the books agree."""

import itertools

import pytest

from protocol.refusal import Refusal
from registry.payouts.states import GIVES_BACK, MOVES, Event, State, moved


@pytest.mark.parametrize("events", list(itertools.product(Event, repeat=4)))
def test_every_sequence_of_events_ends_in_a_known_state(events: tuple[Event, ...]) -> None:
    state, given_back = State.PENDING, 0
    for event in events:
        if (state, event) not in MOVES:
            with pytest.raises(Refusal, match="payout_state"):
                moved(state, event)
            continue
        state = moved(state, event)
        given_back += state in GIVES_BACK

    assert given_back == (state in GIVES_BACK)


def test_the_table_has_no_way_out_of_what_gave_the_money_back() -> None:
    assert not any(before in GIVES_BACK for before, _ in MOVES)

"""How a payout moves: one table, nothing else moves it."""

from enum import StrEnum

from protocol.refusal import Refusal


class State(StrEnum):
    """pending   booked, and waiting for whoever pays
    sent      on its way or there
    failed    was never paid; the money is the site's again
    reversed  was paid and came back; the money is the site's again
    """

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    REVERSED = "reversed"


class Event(StrEnum):
    """What is heard of a payout."""

    PAID = "paid"
    REFUSED = "refused"
    RETURNED = "returned"


MOVES: dict[tuple[State, Event], State] = {
    (State.PENDING, Event.PAID): State.SENT,
    (State.PENDING, Event.REFUSED): State.FAILED,
    (State.SENT, Event.RETURNED): State.REVERSED,
}

GIVES_BACK = frozenset({State.FAILED, State.REVERSED})
"""States in which the journal of the payout has been turned."""


def moved(state: State, event: Event) -> State:
    """Return where an event leads; refuse one that cannot happen there."""
    after = MOVES.get((state, event))
    if after is None:
        raise Refusal(
            code="payout_state",
            status=409,
            message=f"A payout that is {state} cannot be {event}.",
            hint="Look at the list of payouts: it may have moved on.",
        )
    return after

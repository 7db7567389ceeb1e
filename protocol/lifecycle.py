"""The states of an allocation, what may happen to it, and where that leads.

The table is the whole truth: nothing else moves the state.  *No contact* is an overlay that a page
shows over the last known state, never a state of its own.
"""

from enum import StrEnum

from protocol.refusal import Refusal


class State(StrEnum):
    """Where an allocation stands."""

    REQUESTED = "requested"
    PROVISIONING = "provisioning"
    ACTIVE = "active"
    STOPPING = "stopping"
    STOPPED = "stopped"
    RELEASING = "releasing"
    RELEASED = "released"
    FAILED = "failed"
    RELEASE_FAILED = "release_failed"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    SKU_UNAVAILABLE = "sku_unavailable"


class Event(StrEnum):
    """What can happen to an allocation."""

    PLACED = "placed"
    UNPLACEABLE = "unplaceable"
    READY = "ready"
    FAILED = "failed"
    FINISHED = "finished"
    LEASE_ENDED = "lease_ended"
    STOP = "stop"
    STOPPED = "stopped"
    START = "start"
    RELEASE = "release"
    GONE = "gone"
    CLEANUP_FAILED = "cleanup_failed"


MOVES: dict[tuple[State, Event], State] = {
    (State.REQUESTED, Event.PLACED): State.PROVISIONING,
    (State.REQUESTED, Event.UNPLACEABLE): State.SKU_UNAVAILABLE,
    (State.REQUESTED, Event.RELEASE): State.RELEASED,
    (State.PROVISIONING, Event.READY): State.ACTIVE,
    (State.PROVISIONING, Event.FAILED): State.FAILED,
    (State.PROVISIONING, Event.FINISHED): State.RELEASED,
    (State.PROVISIONING, Event.LEASE_ENDED): State.INSUFFICIENT_BALANCE,
    (State.PROVISIONING, Event.RELEASE): State.RELEASING,
    (State.ACTIVE, Event.FAILED): State.FAILED,
    (State.ACTIVE, Event.FINISHED): State.RELEASED,
    (State.ACTIVE, Event.LEASE_ENDED): State.INSUFFICIENT_BALANCE,
    (State.ACTIVE, Event.STOP): State.STOPPING,
    (State.ACTIVE, Event.RELEASE): State.RELEASING,
    (State.STOPPING, Event.STOPPED): State.STOPPED,
    (State.STOPPING, Event.RELEASE): State.RELEASING,
    (State.STOPPED, Event.START): State.PROVISIONING,
    (State.STOPPED, Event.RELEASE): State.RELEASING,
    (State.INSUFFICIENT_BALANCE, Event.START): State.PROVISIONING,
    (State.INSUFFICIENT_BALANCE, Event.RELEASE): State.RELEASING,
    (State.RELEASING, Event.GONE): State.RELEASED,
    (State.RELEASING, Event.CLEANUP_FAILED): State.RELEASE_FAILED,
    (State.RELEASE_FAILED, Event.RELEASE): State.RELEASING,
    (State.RELEASE_FAILED, Event.GONE): State.RELEASED,
}

FINAL = frozenset({State.RELEASED, State.FAILED, State.SKU_UNAVAILABLE})
"""States that nothing leaves."""

CHARGING = frozenset({State.ACTIVE})
"""States in which holding accelerators is charged."""

HOLDING = frozenset(
    {
        State.PROVISIONING,
        State.ACTIVE,
        State.STOPPING,
        State.RELEASING,
        State.RELEASE_FAILED,
    }
)
"""States in which accelerators of the node are taken."""


def moved(state: State, event: Event) -> State:
    """Return the state after `event`; refuse an event that has no place in `state`."""
    after = MOVES.get((state, event))
    if after is None:
        raise Refusal(
            code="move_impossible",
            status=409,
            message=f"An allocation that is {state.value} cannot be {event.value}.",
            hint="Look at its present state; it may have moved on since this page was loaded.",
        )
    return after


def may_move(state: State, event: Event) -> bool:
    """Whether `event` has a place in `state`."""
    return (state, event) in MOVES

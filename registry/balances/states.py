"""The states of a balance as one table, and when each is left.

What is known of the money becomes one signal; state and signal together say the next state, and
nothing else does.  A state is left for a better one only well above the bound under which it was
entered, so that a balance that wavers about a bound gives one notice and not a hundred.
"""

from dataclasses import dataclass
from enum import StrEnum

from protocol.clock import DAY_MS, HOUR_MS
from registry.ledger.posture import CRITICAL_MS, LOW_MS, lasts_ms


class State(StrEnum):
    """How an organization's money stands."""

    FUNDED = "funded"
    LOW = "low"
    CRITICAL = "critical"
    DEPLETED = "depleted"
    FROZEN = "frozen"
    CLOSED = "closed"


class Signal(StrEnum):
    """What is seen of the money, the worst first."""

    CLOSED = "closed"
    FROZEN = "frozen"
    SPENT = "spent"
    UNDER_HOUR = "under_hour"
    NEAR_HOUR = "near_hour"
    UNDER_DAY = "under_day"
    NEAR_DAY = "near_day"
    AMPLE = "ample"


_ORDER = tuple(Signal)
_BY_STATE = {
    State.FUNDED: "closed frozen depleted critical low low funded funded",
    State.LOW: "closed frozen depleted critical low low low funded",
    State.CRITICAL: "closed frozen depleted critical critical low low funded",
    State.DEPLETED: "closed frozen depleted critical critical low low funded",
    State.FROZEN: "closed frozen depleted critical critical low low funded",
    State.CLOSED: "closed closed closed closed closed closed closed closed",
}
MOVES: dict[tuple[State, Signal], State] = {
    (state, signal): State(after)
    for state, row in _BY_STATE.items()
    for signal, after in zip(_ORDER, row.split(), strict=True)
}
"""Columns in the order of `Signal`."""

LEAVE_LOW_MS = LOW_MS * 3 // 2
LEAVE_CRITICAL_MS = CRITICAL_MS * 3 // 2

REMINDERS_MS = (DAY_MS, 6 * HOUR_MS, HOUR_MS)
"""Of each a payer is told once, until the balance was funded again."""


@dataclass(frozen=True, slots=True)
class Money:
    """What the state goes by.

    left_micros  the balance and what may be owed, held by nodes or not
    held_micros  what leases may still take of it
    kept_micros  kept back while a payment is disputed
    resume_micros  what the cheapest workload that stopped for want of money costs in its first
                   hour; None if none did
    """

    left_micros: int
    burn_micros_per_hour: int
    held_micros: int = 0
    kept_micros: int = 0
    suspended: bool = False
    closed: bool = False
    resume_micros: int | None = None

    @property
    def runway_ms(self) -> int | None:
        """Return how long it lasts, rounded down; None while nothing is spent."""
        return lasts_ms(self.left_micros, self.burn_micros_per_hour)


@dataclass(frozen=True, slots=True)
class Kept:
    """A state as it stands in its row.

    episode      counts the edges of this organization
    reminded_ms  the shortest runway that was told of since it was funded; 0 for none
    """

    state: State = State.FUNDED
    since_ms: int = 0
    episode: int = 0
    reminded_ms: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from the money now.

    after        the row as it should be
    edge         whether the state changed
    reminder_ms  the reminder that is due, besides an edge; 0 for none
    """

    after: Kept
    edge: bool
    reminder_ms: int


def signal(money: Money) -> Signal:
    """Return what is seen of the money.

    Money that covers no first hour of anything that stopped for want of it is spent, too: what is
    left is a remainder that nothing could be begun with.
    """
    if money.closed:
        return Signal.CLOSED
    below_held = money.held_micros > 0 and money.left_micros < money.held_micros
    if money.suspended or money.kept_micros > 0 or below_held:
        return Signal.FROZEN
    stuck = money.resume_micros is not None and money.burn_micros_per_hour == 0
    if money.left_micros <= 0 or (stuck and money.left_micros < (money.resume_micros or 0)):
        return Signal.SPENT
    runway_ms = money.runway_ms
    if runway_ms is None:
        return Signal.AMPLE
    bounds = (CRITICAL_MS, LEAVE_CRITICAL_MS + 1, LOW_MS, LEAVE_LOW_MS + 1)
    bands = (Signal.UNDER_HOUR, Signal.NEAR_HOUR, Signal.UNDER_DAY, Signal.NEAR_DAY)
    for bound_ms, band in zip(bounds, bands, strict=True):
        if runway_ms < bound_ms:
            return band
    return Signal.AMPLE


def step(kept: Kept, money: Money, *, now_ms: int) -> Step:
    """Return what the money makes of the state; the same money again makes no edge of it."""
    state = MOVES[kept.state, signal(money)]
    edge = state is not kept.state
    runway_ms = money.runway_ms
    reminded_ms, reminder_ms = kept.reminded_ms, 0
    if state is State.FUNDED:
        reminded_ms = 0
    elif state in (State.LOW, State.CRITICAL) and runway_ms is not None:
        passed = [bound for bound in REMINDERS_MS if runway_ms < bound]
        due = min(passed, default=0)
        if due and (reminded_ms == 0 or due < reminded_ms):
            reminded_ms = due
            # The mail of an edge says it already.
            reminder_ms = 0 if edge else due
    after = Kept(
        state=state,
        since_ms=now_ms if edge else kept.since_ms,
        episode=kept.episode + edge,
        reminded_ms=reminded_ms,
    )
    return Step(after, edge, reminder_ms)

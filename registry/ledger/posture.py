"""How a balance stands: what is left, how long it lasts at the present pace, and its state.

Which state follows from that is in `registry/balances/states.py`.
"""

from dataclasses import dataclass

from protocol.clock import DAY_MS, HOUR_MS

LOW_MS = DAY_MS
CRITICAL_MS = HOUR_MS


@dataclass(frozen=True, slots=True)
class Posture:
    """state  funded, low (under a day), critical (under an hour), depleted, frozen or closed

    left_micros  the balance and what may be owed, held or not
    runway_ms    None while nothing is charging
    """

    state: str
    left_micros: int
    burn_micros_per_hour: int
    runway_ms: int | None


def lasts_ms(left_micros: int, burn_micros_per_hour: int) -> int | None:
    """Return how long the money lasts, rounded down; None while nothing is spent."""
    if burn_micros_per_hour == 0:
        return None
    return max(left_micros, 0) * HOUR_MS // burn_micros_per_hour

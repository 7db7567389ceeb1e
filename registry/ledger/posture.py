"""How a balance stands: what is left, how long it lasts at the present pace, and its state."""

from dataclasses import dataclass

from protocol.clock import DAY_MS, HOUR_MS

LOW_MS = DAY_MS
CRITICAL_MS = HOUR_MS


@dataclass(frozen=True, slots=True)
class Posture:
    """state  funded, low (under a day), critical (under an hour) or depleted

    left_micros  the balance and what may be owed, held or not
    runway_ms    None while nothing is charging
    """

    state: str
    left_micros: int
    burn_micros_per_hour: int
    runway_ms: int | None


def posture(left_micros: int, burn_micros_per_hour: int) -> Posture:
    """Return how a balance stands that is spent at this pace."""
    assert burn_micros_per_hour >= 0
    runway_ms = lasts_ms(left_micros, burn_micros_per_hour)
    return Posture(
        state=_state(left_micros, runway_ms),
        left_micros=left_micros,
        burn_micros_per_hour=burn_micros_per_hour,
        runway_ms=runway_ms,
    )


def lasts_ms(left_micros: int, burn_micros_per_hour: int) -> int | None:
    """Return how long the money lasts, rounded down; None while nothing is spent."""
    if burn_micros_per_hour == 0:
        return None
    return max(left_micros, 0) * HOUR_MS // burn_micros_per_hour


def _state(left_micros: int, runway_ms: int | None) -> str:
    if left_micros <= 0:
        return "depleted"
    if runway_ms is None or runway_ms >= LOW_MS:
        return "funded"
    return "low" if runway_ms >= CRITICAL_MS else "critical"

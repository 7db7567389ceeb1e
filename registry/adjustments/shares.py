"""When a site's share matures: what was charged may still be disputed or set right until then."""

from protocol.clock import DAY_MS, hour_of

DISPUTE_WINDOW_MS = 14 * DAY_MS
"""How long a share is held."""

STEP_MS = DAY_MS
"""At most this much of the past matures in one pass."""


def matures_through(now_ms: int, *, first_ms: int) -> int | None:
    """Return up to which moment shares mature now, on an hour edge; None if it is not time yet.

    first_ms  when the first journal was posted whose share has not matured
    """
    through = min(hour_of(now_ms - DISPUTE_WINDOW_MS), hour_of(first_ms) + STEP_MS)
    return through if through > first_ms else None


def maturity_src(site_id: str, *, from_ms: int, through_ms: int) -> str:
    """Return the business key of what a site's share of a time came to."""
    return f"maturity:{site_id}:{from_ms}-{through_ms}"


def clawback_src(correction_src: str) -> str:
    """Return the business key of taking back a matured share whose charge was undone."""
    return f"clawback:{correction_src}"

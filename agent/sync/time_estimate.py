"""What time it is at the registry, from the four moments of one call.

    we sent at t0 · it received at t1 · it answered at t2 · we received at t3

t0 and t3 are our boottime, t1 and t2 its clock.  Its clock less our boottime lies within half the
time that the call spent on the way, whichever way was slower; what it spent thinking is no error.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """The registry's clock less our boottime, and by how much that may be wrong, either way."""

    offset_ms: int
    error_ms: int


def estimate(
    *, sent_boot_ms: int, received_at_ms: int, answered_at_ms: int, received_boot_ms: int
) -> Estimate | None:
    """Return the estimate of one call; None where its moments contradict each other."""
    thinking_ms = answered_at_ms - received_at_ms
    on_the_way_ms = received_boot_ms - sent_boot_ms - thinking_ms
    if thinking_ms < 0 or on_the_way_ms < 0:
        return None
    twice = received_at_ms - sent_boot_ms + answered_at_ms - received_boot_ms
    return Estimate(offset_ms=twice // 2, error_ms=-(-on_the_way_ms // 2))

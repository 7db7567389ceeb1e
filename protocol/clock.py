"""Time: UTC epoch milliseconds in `*_at_ms` and `*_ms`, always handed in.

A *wall* clock says which moment it is; a *boottime* clock (CLOCK_BOOTTIME) measures how long
something took, suspend included, and is never set by anybody.  Durations that are billed come from
boottime; the wall clock only names the moment.
"""

from collections.abc import Callable

Clock = Callable[[], int]
"""Return the present moment or reading in milliseconds."""

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000


def hour_of(at_ms: int) -> int:
    """Return the UTC hour edge at or before `at_ms`."""
    return at_ms - at_ms % HOUR_MS


def next_hour(at_ms: int) -> int:
    """Return the first UTC hour edge after `at_ms`."""
    return hour_of(at_ms) + HOUR_MS

"""Stretches of time as usage records need them: cut at UTC hours and at 300 s, gaps kept apart.

Prices change on hour edges, so no record straddles a price.  A gap is time in which the node was
not running (suspended): it stands in the records, so that a stream has no hole, with nothing used.
"""

from dataclasses import dataclass

from protocol.clock import next_hour
from protocol.usage import INTERVAL_MS_MAX

JITTER_MS = 1_000
"""Two clocks read one after the other differ by some milliseconds; less than this is no gap."""


@dataclass(frozen=True, slots=True)
class Gap:
    """[begin_ms, end_ms) was not observed; empty when both are the same."""

    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Interval:
    """[begin_ms, end_ms), at most 300 s within one hour; observed as a whole or not at all."""

    begin_ms: int
    end_ms: int
    observed: bool


def gap_since(last_ms: int, *, boot_elapsed_ms: int, running_elapsed_ms: int) -> Gap:
    """Return the gap since `last_ms`: how much longer the machine was up than it was running.

    It is laid right after `last_ms`; where exactly in between the machine slept is not known, and
    does not matter to a sum.
    """
    asleep_ms = boot_elapsed_ms - running_elapsed_ms
    return Gap(last_ms, last_ms + asleep_ms if asleep_ms > JITTER_MS else last_ms)


def gap_after(gap: Gap, seen_ms: int) -> Gap:
    """Return the part of a gap of which a run that was last seen at `seen_ms` has seen nothing yet.

    A run that was last seen before its machine slept would otherwise be seen next after it, with
    the whole sleep for work.  Its sleep is laid right after it was seen.
    """
    if seen_ms >= gap.end_ms:
        return Gap(seen_ms, seen_ms)
    asleep_ms = gap.end_ms - max(gap.begin_ms, seen_ms)
    return Gap(seen_ms, seen_ms + asleep_ms)


def intervals(begin_ms: int, end_ms: int, gap: Gap) -> list[Interval]:
    """Return [begin_ms, end_ms) cut into pieces in order; empty if it does not begin before."""
    edges = (gap.begin_ms, gap.end_ms) if gap.begin_ms < gap.end_ms else ()
    pieces = []
    at_ms = begin_ms
    while at_ms < end_ms:
        cuts = [end_ms, next_hour(at_ms), at_ms + INTERVAL_MS_MAX]
        cuts += [edge_ms for edge_ms in edges if edge_ms > at_ms]
        cut_ms = min(cuts)
        observed = not gap.begin_ms <= at_ms < gap.end_ms
        pieces.append(Interval(begin_ms=at_ms, end_ms=cut_ms, observed=observed))
        at_ms = cut_ms
    return pieces

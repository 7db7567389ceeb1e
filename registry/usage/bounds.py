"""What no honest node exceeds: how early, how late, how much, on which accelerators.

A node's clock may be off, its durations are not: since the launch no more time can have been used
than went by here.  Nobody can measure from afar how many
tokens were really made: here is only what no machine makes.
"""

from collections.abc import Mapping, Sequence

from protocol.clock import HOUR_MS, hour_of
from protocol.packing import Run
from protocol.refusal import LogRefused
from protocol.usage import TIME_METERS, TOKENS_IN, TOKENS_OUT, Use
from registry.usage.log_state import LeaseStanding, Opening, OwnerFact, Stream

AHEAD_MS_MAX = 300_000
"""How far an entry's time may lie ahead of our clock, or an opening's before its launch."""

AHEAD_MS_CHARGED = 2_000
"""By how much more time than went by here the usage of an allocation may be charged."""

PER_S_MAX: Mapping[str, int] = {
    TOKENS_IN: 2_000_000,
    "tok.cached": 10_000_000,
    TOKENS_OUT: 200_000,
    "img": 1_000,
    "req": 100_000,
}
"""What one node can plausibly do in a second, over all keys and models: several times what eight of
the fastest accelerators are known for."""

Counts = Mapping[tuple[str, int], int]
"""Quantities by meter and UTC hour edge."""


def check_time(use: Use, stream: Stream, opening: Opening) -> None:
    """Refuse a time record that overlaps, leaves out time, or counts more than there was."""
    begin_ms, opened_at_ms = use.begin_ms, opening.opened_at_ms
    if begin_ms > stream.end_ms:
        # The first record of another opening may leave out the time between the two; a stream may
        # also go on over it, with nothing counted.
        if stream.end_ms > opened_at_ms:
            raise LogRefused("interval_gap", "Time was left out between two records.")
        if begin_ms < opened_at_ms:
            raise LogRefused("interval_before_open", "Time was counted before the opening.")
    elif begin_ms < stream.end_ms:
        raise LogRefused("interval_overlap", "Time was counted twice.")
    held_ms = use.end_ms - (begin_ms if begin_ms > opened_at_ms else opened_at_ms)
    if use.quantity > max(held_ms, 0) * len(opening.accelerators):
        raise LogRefused("over_capacity", "More time was counted than there was.")


def time_max(owner: OwnerFact, since_ms: int) -> int | None:
    """Return the most accelerator time a stream can have come to when it was taken in.

    since_ms  when the stream began, by the node's clock; one of a later log begins after the launch
    """
    if owner.known_to_ms is None:
        return None
    begin_ms = max(owner.since_ms, since_ms - AHEAD_MS_MAX)
    return max(owner.known_to_ms - begin_ms, 0) * owner.accelerator_count


def check_reported(uuids: Sequence[str], owner: OwnerFact) -> None:
    """Refuse accelerators that the node never reported, or that are registered with another."""
    if owner.reported is None:
        return
    strange = sorted(set(uuids) - owner.reported)
    if strange:
        raise LogRefused(
            "accelerator_unknown", f"{strange[0]} is not registered as an accelerator of this node."
        )


def check_lease_time(use: Use | Run, lease: LeaseStanding) -> None:
    """Refuse calls in an hour that was over when the lease was granted: they had another lease."""
    hour_ends_ms = hour_of(use.begin_ms) + HOUR_MS
    if use.meter not in TIME_METERS and hour_ends_ms + AHEAD_MS_MAX < lease.granted_at_ms:
        raise LogRefused("lease_later", f"Lease {use.lease_id} was granted after this usage.")


def check_counts(counts: Counts, before: Counts) -> None:
    """Refuse more calls and tokens in an hour than a node can do.

    counts  of a batch
    before  of what was accepted of the node earlier, in the same hours
    """
    for (meter, hour_ms), count in counts.items():
        most = PER_S_MAX.get(meter)
        if most is not None and count + before.get((meter, hour_ms), 0) > most * HOUR_MS // 1_000:
            raise LogRefused(
                "quantity_implausible",
                f"More than {most} a second of {meter} for an hour is more than a node can do.",
            )

"""What a tenant's leases allow on this node: work may start, may go on, or must stop."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from protocol.clock import HOUR_MS
from protocol.lease import HeldLease, is_live, remaining

DRIFT_PER_MILLE = 2
"""Our clock may run this much slower than the registry's: lives are shortened by it."""

Reason = Literal["", "no_lease", "unconfirmed", "recalled", "expired", "spent"]


@dataclass(frozen=True, slots=True)
class NodeLease:
    """A lease with what only this node knows of it.

    boot_id    of the boot in which it was last confirmed; its expiry means nothing in another
    recalled   whether the registry's last answer left it out
    exhausted  whether it has less left than running work needs for its next stretch
    """

    held: HeldLease
    boot_id: str
    recalled: bool
    exhausted: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Exactly one of may_continue and must_stop is true; may_start implies may_continue.

    since_boot_ms  when the work lost its cover, where that is known
    reason         why work may not start; empty when it may
    """

    may_start: bool
    may_continue: bool
    since_boot_ms: int | None
    reason: Reason

    @property
    def must_stop(self) -> bool:
        """Whether running work must end in an orderly way now."""
        return not self.may_continue


NO_LEASE = Verdict(may_start=False, may_continue=False, since_boot_ms=None, reason="no_lease")


def expiry_boot_ms(*, sent_boot_ms: int, expires_in_ms: int) -> int:
    """Return when a lease ends by our boottime.

    Counted from when the request was *sent*, and shortened by the drift, so that the node never
    ends later than the registry expects, without any agreement between their clocks.
    """
    return sent_boot_ms + expires_in_ms - -(-expires_in_ms * DRIFT_PER_MILLE // 1000)


def is_usable(lease: NodeLease, *, boot_id: str, boot_ms: int) -> bool:
    """Whether new work may be backed by the lease, amount aside."""
    confirmed = lease.boot_id == boot_id and not lease.recalled
    return confirmed and not lease.exhausted and is_live(lease.held, boot_ms=boot_ms)


def verdict(
    leases: Iterable[NodeLease],
    *,
    boot_id: str,
    boot_ms: int,
    uncovered_since_boot_ms: int | None,
) -> Verdict:
    """Return what one tenant's open leases allow.

    uncovered_since_boot_ms  since when some of its running work could not set its next tick aside
    """
    leases = list(leases)
    usable = [lease for lease in leases if is_usable(lease, boot_id=boot_id, boot_ms=boot_ms)]
    if uncovered_since_boot_ms is not None:
        return Verdict(
            may_start=False,
            may_continue=False,
            since_boot_ms=uncovered_since_boot_ms,
            reason=_reason(leases, boot_id=boot_id, boot_ms=boot_ms),
        )
    if any(remaining(lease.held) > 0 for lease in usable):
        return Verdict(may_start=True, may_continue=True, since_boot_ms=None, reason="")
    if any(lease.held.reserved > 0 for lease in usable):
        return Verdict(may_start=False, may_continue=True, since_boot_ms=None, reason="spent")
    reason = _reason(leases, boot_id=boot_id, boot_ms=boot_ms)
    return Verdict(
        may_start=False,
        may_continue=False,
        since_boot_ms=_ended_at(leases, boot_id) if reason == "expired" else None,
        reason=reason,
    )


def cover_ends_boot_ms(
    leases: Iterable[NodeLease], *, hourly_micros: int, boot_id: str, boot_ms: int
) -> int:
    """Return until when one tenant's leases cover its work, if nothing is granted any more.

    The lease that ends first is spent first.  What is set aside already is spent by the same work.

    hourly_micros  what that work costs an hour; 0 where it is not known: then only the ends of
                   the leases count
    """
    at_ms = boot_ms
    usable = (lease for lease in leases if is_usable(lease, boot_id=boot_id, boot_ms=boot_ms))
    for lease in sorted(usable, key=lambda one: one.held.expires_at_boot_ms):
        ends_ms = lease.held.expires_at_boot_ms
        left = max(lease.held.amount - lease.held.spent, 0)
        if hourly_micros:
            ends_ms = min(ends_ms, at_ms + left * HOUR_MS // hourly_micros)
        at_ms = max(at_ms, ends_ms)
    return at_ms


def closing_reason(lease: NodeLease, *, boot_id: str, boot_ms: int) -> Reason:
    """Return why nothing new may be spent from an open lease; empty if something may.

    A lease from another boot that is not recalled waits to be confirmed: it is not closed.
    """
    if lease.recalled:
        return "recalled"
    if lease.exhausted or lease.held.spent >= lease.held.amount:
        return "spent"
    if lease.boot_id == boot_id and boot_ms >= lease.held.expires_at_boot_ms:
        return "expired"
    return ""


def _reason(leases: list[NodeLease], *, boot_id: str, boot_ms: int) -> Reason:
    """Return the plainest reason why none of the leases serves."""
    if not leases:
        return "no_lease"
    if all(lease.recalled for lease in leases):
        return "recalled"
    standing = [lease for lease in leases if not lease.recalled]
    if all(lease.boot_id != boot_id for lease in standing):
        return "unconfirmed"
    if any(is_live(lease.held, boot_ms=boot_ms) for lease in standing):
        return "spent"
    return "expired"


def _ended_at(leases: list[NodeLease], boot_id: str) -> int:
    return max(lease.held.expires_at_boot_ms for lease in leases if lease.boot_id == boot_id)

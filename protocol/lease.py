"""A budget lease: spending right handed to a node ahead of time, and its arithmetic.

The registry grants at most what a tenant has; the node reserves the worst case before work starts
and settles down to what it was.  Expiry is counted by boottime from the moment the node *sent* the
request, so the node always stops no later than the registry expects.
"""

from dataclasses import dataclass, replace
from typing import Annotated

import msgspec

from protocol.money import Micros
from protocol.observed import Label, Moment

LEASES_MAX = 4096


class Lease(msgspec.Struct, frozen=True):
    """A lease as the registry states it."""

    lease_id: Moment
    tenant_id: Label
    amount: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    expires_in_ms: Moment


class LeaseSpend(msgspec.Struct, frozen=True):
    """What the node has spent of a lease, by its own count."""

    lease_id: Moment
    spent: Moment
    reserved: Moment
    closed: bool


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease as the node holds it.

    expires_at_boot_ms  by the boottime clock of the boot in which it was received
    """

    lease_id: int
    tenant_id: str
    amount: Micros
    spent: Micros
    reserved: Micros
    expires_at_boot_ms: int
    closed: bool = False


def remaining(lease: HeldLease) -> Micros:
    """Return what may still be reserved."""
    return Micros(lease.amount - lease.spent - lease.reserved)


def is_live(lease: HeldLease, *, boot_ms: int) -> bool:
    """Whether the lease may back new work at boottime `boot_ms`."""
    return not lease.closed and boot_ms < lease.expires_at_boot_ms


def reserved(lease: HeldLease, worst: Micros) -> HeldLease:
    """Return the lease with `worst` set aside; the caller has checked that it fits."""
    assert 0 <= worst <= remaining(lease)
    return replace(lease, reserved=Micros(lease.reserved + worst))


def settled(lease: HeldLease, *, worst: Micros, actual: Micros) -> HeldLease:
    """Return the lease after work that had `worst` set aside came to `actual`."""
    assert 0 <= worst <= lease.reserved
    assert actual >= 0
    return replace(
        lease,
        reserved=Micros(lease.reserved - worst),
        spent=Micros(lease.spent + actual),
    )


def lease_for(leases: list[HeldLease], worst: Micros, *, boot_ms: int) -> HeldLease | None:
    """Return the live lease that ends first among those with room for `worst`, or None."""
    fitting = [
        lease for lease in leases if is_live(lease, boot_ms=boot_ms) and remaining(lease) >= worst
    ]
    return min(fitting, key=lambda lease: (lease.expires_at_boot_ms, lease.lease_id), default=None)

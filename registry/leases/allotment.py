"""How much a node should hold of a tenant's balance, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.clock import HOUR_MS
from protocol.money import MICROS_PER_UNIT
from registry.leases.terms import Terms

FLOOR_MICROS = MICROS_PER_UNIT
"""What a node holds for a tenant whose API keys it serves, before any call was made."""


@dataclass(frozen=True, slots=True)
class Want:
    """What a tenant needs on a node.

    hourly_micros  what its allocations there cost an hour
    serves_models  whether its API keys are accepted there for models that are offered
    called_micros  what it was charged for calls there in this UTC hour and the one before
    """

    tenant_id: str
    hourly_micros: int
    serves_models: bool = False
    called_micros: int = 0


@dataclass(frozen=True, slots=True)
class Live:
    """A lease that the node may still spend from."""

    remaining: int
    expires_at_ms: int


def target(want: Want, terms: Terms) -> int:
    """Return what the node should hold for the tenant, in micros."""
    ahead = want.hourly_micros * terms.ahead_ms // HOUR_MS
    return max(ahead, FLOOR_MICROS if want.serves_models else 0)


def grant_amount(want: Want, live: list[Live], *, terms: Terms, available: int, now_ms: int) -> int:
    """Return how many micros to grant now; 0 for none.

    available  balance and credit not promised to any node yet

    A node is topped up when what it holds for longer than `terms.renew_ms` is less than half the
    target.
    Half of what is available stays for the tenant's other nodes, until so little is left that
    halving would only delay the end: the last unit goes out whole.

    Nobody but the node saw the calls it charges for, so they are no reason to hand it ever more:
    from `terms.calls_micros_max` on it gets nothing until the hour is over.
    """
    wanted = target(want, terms)
    lasting = sum(
        max(lease.remaining, 0) for lease in live if lease.expires_at_ms - now_ms > terms.renew_ms
    )
    if wanted <= 0 or available <= 0 or 2 * lasting >= wanted:
        return 0
    missing = wanted - lasting
    if want.serves_models:
        left = terms.calls_micros_max - want.called_micros
        if left <= 0:
            return 0
        missing = min(missing, left) if want.hourly_micros == 0 else missing
    if available <= final_unit(want):
        return min(missing, available)
    return min(missing, available // 2)


def surplus(want: Want, live: Mapping[int, Live], *, terms: Terms) -> set[int]:
    """Return which leases, by id, a node should give back: the largest, until what it holds is at
    most twice its target.  What is left may be too little; then a smaller one is granted."""
    most = 2 * target(want, terms)
    held = sum(lease.remaining for lease in live.values())
    spare: set[int] = set()
    for lease_id, lease in sorted(live.items(), key=lambda one: -one[1].remaining):
        if held <= most:
            break
        spare.add(lease_id)
        held -= lease.remaining
    return spare


def is_enough(want: Want, kept: list[Live], *, terms: Terms) -> bool:
    """Whether a node can do with these leases: nothing that runs there may lose its cover."""
    held = sum(lease.remaining for lease in kept)
    return want.hourly_micros == 0 or held >= target(want, terms)


def final_unit(want: Want) -> int:
    """Return the available micros at and below which a grant takes all of them."""
    return max(want.hourly_micros, 1)

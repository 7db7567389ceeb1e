"""How much a node should hold of a tenant's balance, and for how long."""

from dataclasses import dataclass

from protocol.clock import DAY_MS, HOUR_MS
from protocol.money import MICROS_PER_UNIT

LIFE_MS = DAY_MS
"""How long a lease may be spent: what a node that is cut off can still sell."""

HOLD_MS = 8 * DAY_MS
"""How long a hold outlives its grant when nothing is heard: longer than the longest time away that
is promised (7 days), or work done meanwhile would be ours to pay."""

AHEAD_MS = 4 * HOUR_MS
"""A lease covers this much of the present burn."""

FLOOR_MICROS = MICROS_PER_UNIT
"""What a node holds for a tenant whose API keys it serves, before any call was made."""

RENEW_MS = LIFE_MS // 2
"""A lease is renewed when less than this of its life is left."""


@dataclass(frozen=True, slots=True)
class Want:
    """What a tenant needs on a node.

    hourly_micros  what its allocations there cost an hour
    serves_models  whether its API keys are accepted there for models that are offered
    """

    tenant_id: str
    hourly_micros: int
    serves_models: bool = False


@dataclass(frozen=True, slots=True)
class Live:
    """A lease that the node may still spend from."""

    remaining: int
    expires_at_ms: int


def target(want: Want) -> int:
    """Return what the node should hold for the tenant, in micros."""
    ahead = want.hourly_micros * AHEAD_MS // HOUR_MS
    return max(ahead, FLOOR_MICROS if want.serves_models else 0)


def grant_amount(want: Want, live: list[Live], *, available: int, now_ms: int) -> int:
    """Return how many micros to grant now; 0 for none.

    available  balance and credit not promised to any node yet

    A node is topped up when what it holds for longer than RENEW_MS is less than half the target.
    Half of what is available stays for the tenant's other nodes, until so little is left that
    halving would only delay the end: the last unit goes out whole.
    """
    wanted = target(want)
    lasting = sum(
        max(lease.remaining, 0) for lease in live if lease.expires_at_ms - now_ms > RENEW_MS
    )
    if wanted <= 0 or available <= 0 or 2 * lasting >= wanted:
        return 0
    missing = wanted - lasting
    if available <= final_unit(want):
        return min(missing, available)
    return min(missing, available // 2)


def final_unit(want: Want) -> int:
    """Return the available micros at and below which a grant takes all of them."""
    return max(want.hourly_micros, 1)

"""On which terms a tenant's money is handed to nodes: how long, how much of it, or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from protocol.clock import DAY_MS, HOUR_MS, MINUTE_MS
from protocol.money import MICROS_PER_UNIT
from protocol.refusal import Refusal

Trust = Literal["unproven", "standard", "contracted"]
"""How a tenant is known: a card nobody has seen before, the usual, or by a contract."""

ABSENCE_MS = 7 * DAY_MS
"""The longest time away from the registry that is promised to a node."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What trust gives.

    life_ms           how long a lease may be spent: what a node that is cut off can still sell
    ahead_ms          a node holds this much of the present burn
    calls_micros_max  what one node may charge for calls within an hour, and before it is over
    absence_ms        the longest time away that is promised
    """

    life_ms: int
    ahead_ms: int
    calls_micros_max: int
    absence_ms: int = ABSENCE_MS

    @property
    def hold_ms(self) -> int:
        """Return how long a hold outlives its grant when nothing is heard of its lease.

        A node may fall silent at the last moment of a lease, and work done until then must still
        find its hold when the node comes back, or it would be ours to pay.
        """
        return self.life_ms + self.absence_ms

    @property
    def renew_ms(self) -> int:
        """Return the rest of its life below which a lease is renewed."""
        return self.life_ms // 2


TermsByTrust = Mapping[Trust, Terms]

TERMS: TermsByTrust = {
    "unproven": Terms(
        life_ms=15 * MINUTE_MS, ahead_ms=30 * MINUTE_MS, calls_micros_max=5 * MICROS_PER_UNIT
    ),
    "standard": Terms(life_ms=DAY_MS, ahead_ms=4 * HOUR_MS, calls_micros_max=25 * MICROS_PER_UNIT),
    "contracted": Terms(
        life_ms=7 * DAY_MS, ahead_ms=3 * DAY_MS, calls_micros_max=500 * MICROS_PER_UNIT
    ),
}


@dataclass(frozen=True, slots=True)
class TenantTerms:
    """How a tenant stands.  suspended_why: empty unless it is suspended"""

    trust: Trust = "standard"
    suspended_at_ms: int | None = None
    suspended_why: str = ""


USUAL = TenantTerms()
"""How a tenant stands of whom nothing else was settled."""


def recalled_because(tenant: TenantTerms, *, available: int) -> str:
    """Return why every lease of a tenant is recalled and none granted; empty if none is.

    available  balance and credit not held; below zero when a refund, a dispute or a lower credit
               limit took what nodes were promised already (I2): that money is frozen until enough
               of the leases has come back
    """
    if tenant.suspended_at_ms is not None:
        return "suspended"
    return "frozen" if available < 0 else ""


def check_not_suspended(tenant: TenantTerms) -> None:
    """Refuse what a suspended tenant may not begin."""
    if tenant.suspended_at_ms is not None:
        raise Refusal(
            code="tenant_suspended",
            status=403,
            message=f"This organization is suspended: {tenant.suspended_why}",
            hint="Write to the operator; what you stored is kept.",
            limit_source="balance",
        )

"""What running work spends and sets aside within one unit of work, counted in memory.

A tick moves many pieces of work on at once.  Their leases and reservations are read once, moved by
the rules below, and those that changed are written back in the same unit: nobody else counts in
between, so no two pieces of work can count on the same micro.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from agent.leases.gate import NodeLease, is_usable
from protocol.lease import remaining
from protocol.money import Micros


@dataclass(frozen=True, slots=True)
class Reservation:
    """What backs a piece of work: of which lease how much, and since when too little."""

    lease_id: int
    worst: int
    uncovered_since_boot_ms: int | None


class Till:
    """The open leases of a node, and what `holders` have set aside of them."""

    def __init__(
        self,
        leases: Iterable[NodeLease],
        reservations: Mapping[str, Reservation],
        *,
        boot_id: str,
        boot_ms: int,
    ) -> None:
        self._leases = {lease.held.lease_id: lease for lease in leases}
        self._reservations = dict(reservations)
        self._boot_id = boot_id
        self._boot_ms = boot_ms
        self._moved: set[int] = set()
        self.changed: dict[str, Reservation | None] = {}

    def moved_leases(self) -> list[NodeLease]:
        """Return the leases that stand otherwise than before."""
        return [self._leases[lease_id] for lease_id in sorted(self._moved)]

    def backing(self, holder: str) -> int | None:
        """Return the id of the lease that backs `holder`, or None."""
        found = self._reservations.get(holder)
        return None if found is None else found.lease_id

    def newest(self, tenant_id: str) -> int | None:
        """Return the newest open lease of the tenant, or None."""
        return max(
            (one.held.lease_id for one in self._leases.values() if one.held.tenant_id == tenant_id),
            default=None,
        )

    def settle(self, holder: str, *, actual: int) -> None:
        """Free what `holder` had set aside and count `actual` as spent."""
        self._free(holder, actual=actual)

    def roll_over(self, holder: str, *, tenant_id: str, actual: int, worst: int) -> bool:
        """Settle running work and set its next stretch aside; False if no lease covers that.

        Without cover the work stays with a lease, so that this one is closed only after the last
        use of it, and what has too little to go on with is marked exhausted.
        """
        before = self._free(holder, actual=actual)
        lease = self._with_room(tenant_id, worst)
        if lease is not None:
            held = lease.held
            self._put(replace(lease, held=replace(held, reserved=Micros(held.reserved + worst))))
            self._set(holder, Reservation(held.lease_id, worst, None))
            return True
        lease_id = before.lease_id if before is not None else self.newest(tenant_id)
        if lease_id is not None:
            since = before.uncovered_since_boot_ms if before is not None else None
            since = self._boot_ms if since is None else since
            self._set(holder, Reservation(lease_id, 0, since))
        for other in list(self._leases.values()):
            if other.held.tenant_id == tenant_id and remaining(other.held) < worst:
                self._put(replace(other, exhausted=True))
        return False

    def _with_room(self, tenant_id: str, worst: int) -> NodeLease | None:
        """Return the usable lease that ends first and has the room."""
        fitting = (
            lease
            for lease in self._leases.values()
            if lease.held.tenant_id == tenant_id
            and is_usable(lease, boot_id=self._boot_id, boot_ms=self._boot_ms)
            and remaining(lease.held) >= worst
        )
        return min(
            fitting, key=lambda one: (one.held.expires_at_boot_ms, one.held.lease_id), default=None
        )

    def _free(self, holder: str, *, actual: int) -> Reservation | None:
        """Turn what was set aside into what was spent, at most what the lease still has."""
        before = self._reservations.get(holder)
        if before is None:
            return None
        lease = self._leases[before.lease_id]
        held = lease.held
        reserved = held.reserved - before.worst
        assert reserved >= 0, f"lease {held.lease_id} has less set aside than {holder} did"
        spent = min(held.spent + actual, held.amount - reserved)
        self._put(
            replace(lease, held=replace(held, spent=Micros(spent), reserved=Micros(reserved)))
        )
        self._set(holder, None)
        return before

    def _put(self, lease: NodeLease) -> None:
        self._leases[lease.held.lease_id] = lease
        self._moved.add(lease.held.lease_id)

    def _set(self, holder: str, reservation: Reservation | None) -> None:
        self.changed[holder] = reservation
        if reservation is None:
            self._reservations.pop(holder, None)
        else:
            self._reservations[holder] = reservation

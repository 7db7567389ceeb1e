"""Leases arrive, back work, are spent, and are closed, all inside the caller's units of work.

Work that is under way holds a *reservation* under its own name (an allocation, a call).  It
outlives a crash of the agent, so that nothing is promised twice afterwards.
"""

from collections.abc import Collection, Iterable, Mapping

from agent.leases import queries
from agent.leases.gate import Verdict, closing_reason, cover_ends_boot_ms, expiry_boot_ms, verdict
from agent.leases.till import Till
from agent.store.database import Db
from protocol.lease import HeldLease, Lease
from protocol.money import Micros
from protocol.refusal import Refusal
from protocol.usage import LeaseClosed


def replace_leases(db: Db, leases: Iterable[Lease], *, sent_boot_ms: int, boot_id: str) -> None:
    """Keep the leases of an answer; an open one that it leaves out is recalled.

    sent_boot_ms  when the request that was answered left, by boottime
    """
    queries.forget_listing(db)
    for lease in leases:
        held = HeldLease(
            lease_id=lease.lease_id,
            tenant_id=lease.tenant_id,
            amount=Micros(lease.amount),
            spent=Micros(0),
            reserved=Micros(0),
            expires_at_boot_ms=expiry_boot_ms(
                sent_boot_ms=sent_boot_ms, expires_in_ms=lease.expires_in_ms
            ),
        )
        queries.put_lease(db, held, boot_id=boot_id)


def list_verdicts(
    db: Db, tenant_ids: Collection[str], *, boot_id: str, boot_ms: int
) -> dict[str, Verdict]:
    """Return what the leases of each of these tenants allow now."""
    leases = queries.list_leases_of(db, tenant_ids)
    uncovered = queries.list_uncovered_since(db, tenant_ids)
    return {
        tenant_id: verdict(
            [lease for lease in leases if lease.held.tenant_id == tenant_id],
            boot_id=boot_id,
            boot_ms=boot_ms,
            uncovered_since_boot_ms=uncovered.get(tenant_id),
        )
        for tenant_id in tenant_ids
    }


def list_cover_ends(
    db: Db, paces: Mapping[str, int], *, boot_id: str, boot_ms: int
) -> dict[str, int]:
    """Return until when, by boottime, the leases of each of these tenants cover its work.

    paces  by tenant: what its work here costs an hour
    """
    leases = queries.list_leases_of(db, paces)
    return {
        tenant_id: cover_ends_boot_ms(
            [lease for lease in leases if lease.held.tenant_id == tenant_id],
            hourly_micros=hourly,
            boot_id=boot_id,
            boot_ms=boot_ms,
        )
        for tenant_id, hourly in paces.items()
    }


def reserve(
    db: Db, holder: str, *, tenant_id: str, worst: int, boot_id: str, boot_ms: int
) -> HeldLease:
    """Set `worst` aside for `holder`, before its work begins; what it held before is freed first.

    Refuses with 402 `lease_spent` when no lease of the tenant has the room.
    """
    before = queries.find_reservation(db, holder)
    if before is not None:
        _free(db, holder, before, actual=0)
    lease = queries.set_aside(
        db, tenant_id=tenant_id, worst=worst, boot_id=boot_id, boot_ms=boot_ms
    )
    if lease is None:
        raise Refusal(
            code="lease_spent",
            status=402,
            message="This node holds no spending right that covers this work.",
            hint="Top up the balance; the node hears of it at its next contact with the registry.",
            limit_source="site_lease",
        )
    queries.insert_reservation(
        db, holder, lease_id=lease.lease_id, worst=worst, uncovered_since_boot_ms=None
    )
    return lease


def settle(db: Db, holder: str, *, actual: int) -> int:
    """Free what `holder` had set aside and count `actual` as spent; return the lease's id."""
    before = queries.find_reservation(db, holder)
    assert before is not None, f"{holder} has nothing set aside"
    _free(db, holder, before, actual=actual)
    return before[0]


def release(db: Db, holder: str) -> bool:
    """Free what `holder` had set aside without spending any; False if it had nothing."""
    before = queries.find_reservation(db, holder)
    if before is not None:
        _free(db, holder, before, actual=0)
    return before is not None


def roll_over(
    db: Db, holder: str, *, tenant_id: str, actual: int, worst: int, boot_id: str, boot_ms: int
) -> bool:
    """Settle running work and set its next stretch aside; False if no lease covers that any more.

    Without cover the tenant's verdict is to stop.
    """
    till = open_till(db, [holder], boot_id=boot_id, boot_ms=boot_ms)
    covered = till.roll_over(holder, tenant_id=tenant_id, actual=actual, worst=worst)
    store_till(db, till)
    return covered


def open_till(db: Db, holders: Collection[str], *, boot_id: str, boot_ms: int) -> Till:
    """Return the open leases and what these pieces of work have set aside, to count in memory."""
    return Till(
        queries.list_open_leases(db),
        queries.list_reservations(db, holders),
        boot_id=boot_id,
        boot_ms=boot_ms,
    )


def store_till(db: Db, till: Till) -> None:
    """Keep what was counted, in the unit of work in which the till was opened."""
    moved = till.moved_leases()
    written = queries.update_counts(db, moved)
    assert written == len(moved), "a lease was closed while it was counted"
    queries.put_reservations(db, till.changed)


def find_backing(db: Db, holder: str) -> int | None:
    """Return the id of the lease that backs `holder`, or None."""
    reservation = queries.find_reservation(db, holder)
    return reservation[0] if reservation else None


def find_newest_lease(db: Db, tenant_id: str) -> int | None:
    """Return the newest lease the tenant had here, closed or not, or None if it had none."""
    return queries.find_newest_lease(db, tenant_id)


def close_ended(db: Db, *, boot_id: str, boot_ms: int, now_ms: int) -> list[LeaseClosed]:
    """Close the leases that ended and back nothing any more; return the entries that say so.

    Each is to be written once, in the same unit, after the last use of its lease.
    """
    closed = []
    for lease in queries.list_unreferenced_leases(db):
        reason = closing_reason(lease, boot_id=boot_id, boot_ms=boot_ms)
        if reason and queries.move_closed(db, lease.held.lease_id):
            closed.append(
                LeaseClosed(
                    lease_id=lease.held.lease_id,
                    tenant_id=lease.held.tenant_id,
                    at_ms=now_ms,
                    spent=lease.held.spent,
                    reason=reason,
                )
            )
    return closed


def _free(db: Db, holder: str, reservation: tuple[int, int], *, actual: int) -> None:
    lease_id, worst = reservation
    queries.delete_reservation(db, holder)
    moved = queries.move_spent(db, lease_id, worst=worst, actual=actual)
    assert moved, f"lease {lease_id} was closed under {holder}"

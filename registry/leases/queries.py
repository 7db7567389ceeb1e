"""SQL of the budget leases."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, insert, or_, select, update

from protocol.usage import AMOUNT_METERS, METERS, TIME_METERS
from registry.leases.terms import TenantTerms
from registry.store.database import Db
from registry.store.tables.leases import lease, lease_terms
from registry.store.tables.usage import usage_hour
from registry.usage.log_state import LeaseStanding, LeaseState


@dataclass(frozen=True, slots=True)
class GrantedLease:
    """A lease as the registry holds it; what is left of it is held in the tenant's wallet.

    heard         whether its node has spoken of it
    stated_at_ms  when an answer last stated it, or it was granted; of no use once it was heard
    """

    lease_id: int
    tenant_id: str
    node_id: str
    amount: int
    settled: int
    granted_at_ms: int
    expires_at_ms: int
    hold_until_ms: int
    state: LeaseState
    heard: bool = True
    stated_at_ms: int = 0

    @property
    def remaining(self) -> int:
        """Return what may still be charged to it."""
        return self.amount - self.settled


def insert_lease(
    db: Db,
    *,
    tenant_id: str,
    node_id: str,
    amount: int,
    granted_at_ms: int,
    expires_at_ms: int,
    hold_until_ms: int,
) -> int:
    """Insert an open lease and return its id."""
    return int(
        db.value(
            insert(lease)
            .values(
                tenant_id=tenant_id,
                node_id=node_id,
                amount=amount,
                settled=0,
                granted_at_ms=granted_at_ms,
                expires_at_ms=expires_at_ms,
                hold_until_ms=hold_until_ms,
                state="open",
                heard=0,
                stated_at_ms=granted_at_ms,
            )
            .returning(lease.c.id)
        )
    )


def find_lease(db: Db, lease_id: int) -> GrantedLease | None:
    """Return the lease."""
    rows = db.fetch(
        """
        SELECT id, tenant_id, node_id, amount, settled, granted_at_ms, expires_at_ms,
            hold_until_ms, state
        FROM lease WHERE id = :id
        """,
        {"id": lease_id},
    )
    return GrantedLease(*rows[0]) if rows else None


def list_open(db: Db, node_id: str) -> list[GrantedLease]:
    """Return the open leases of a node, expired ones too, oldest first."""
    rows = db.rows(
        select(lease)
        .where(lease.c.node_id == node_id, lease.c.state == "open")
        .order_by(lease.c.id)
    )
    return [_lease(row) for row in rows]


def note_heard(db: Db, lease_ids: Sequence[int]) -> None:
    """Note that their node has spoken of these leases."""
    db.write(update(lease).where(lease.c.id.in_(list(lease_ids))).values(heard=1))


def note_stated(db: Db, lease_ids: Sequence[int], *, now_ms: int) -> None:
    """Note that an answer states these leases."""
    db.write(update(lease).where(lease.c.id.in_(list(lease_ids))).values(stated_at_ms=now_ms))


def list_overdue(db: Db, *, now_ms: int, limit: int) -> list[GrantedLease]:
    """Return open leases of which nothing was heard until their hold ended."""
    rows = db.rows(
        select(lease)
        .where(lease.c.state == "open", lease.c.hold_until_ms <= now_ms)
        .order_by(lease.c.id)
        .limit(limit)
    )
    return [_lease(row) for row in rows]


def list_standings(db: Db, lease_ids: Sequence[int]) -> dict[int, LeaseStanding]:
    """Return leases as the rules of the usage log look at them."""
    rows = db.fetch(
        """
        SELECT id, tenant_id, node_id, amount, settled, state, ended_at_ms, granted_at_ms
        FROM lease WHERE id IN EACH(:ids)
        """,
        {"ids": list(lease_ids)},
    )
    return {lease_id: LeaseStanding(*standing) for lease_id, *standing in rows}


def charged_for_calls(db: Db, node_id: str, *, from_ms: int) -> dict[str, int]:
    """Return what each tenant was charged for calls at a node since an hour edge."""
    rows = db.rows(
        select(usage_hour.c.tenant_id, func.sum(usage_hour.c.charged).label("micros"))
        .where(
            usage_hour.c.node_id == node_id,
            usage_hour.c.hour_ms >= from_ms,
            usage_hour.c.meter.in_(sorted(METERS - TIME_METERS - AMOUNT_METERS)),
        )
        .group_by(usage_hour.c.tenant_id)
    )
    return {row.tenant_id: int(row.micros) for row in rows}


def list_terms(db: Db, tenant_ids: Sequence[str]) -> dict[str, TenantTerms]:
    """Return how those of these tenants stand of whom anything was settled."""
    rows = db.rows(select(lease_terms).where(lease_terms.c.tenant_id.in_(list(tenant_ids))))
    return {
        row.tenant_id: TenantTerms(row.trust, row.suspended_at_ms, row.suspended_why)
        for row in rows
    }


def list_suspended(db: Db) -> dict[str, str]:
    """Return why those tenants are suspended who are."""
    rows = db.rows(
        select(lease_terms.c.tenant_id, lease_terms.c.suspended_why).where(
            lease_terms.c.suspended_at_ms.is_not(None)
        )
    )
    return {row.tenant_id: row.suspended_why for row in rows}


def put_terms(db: Db, tenant_id: str, terms: TenantTerms, *, now_ms: int) -> None:
    """Settle how a tenant stands."""
    db.upsert(
        lease_terms,
        ["tenant_id"],
        {
            "tenant_id": tenant_id,
            "trust": terms.trust,
            "suspended_at_ms": terms.suspended_at_ms,
            "suspended_why": terms.suspended_why,
            "changed_at_ms": now_ms,
        },
    )


def exposure_by_node(db: Db, tenant_id: str) -> dict[str, int]:
    """Return what open leases of a tenant may still cost, by node."""
    rows = db.rows(
        select(lease.c.node_id, func.sum(lease.c.amount - lease.c.settled).label("micros"))
        .where(lease.c.tenant_id == tenant_id, lease.c.state == "open")
        .group_by(lease.c.node_id)
    )
    return {row.node_id: int(row.micros) for row in rows}


def list_strange(db: Db, known: Collection[int]) -> list[GrantedLease]:
    """Return the leases that were closed or settled, but for those that are known."""
    rows = db.rows(
        select(lease)
        .where(or_(lease.c.state == "closed", lease.c.settled > 0))
        .order_by(lease.c.id)
    )
    return [_lease(row) for row in rows if row.id not in known]


def open_by_tenant(db: Db) -> dict[str, int]:
    """Return what open leases may still cost, by tenant."""
    rows = db.rows(
        select(lease.c.tenant_id, func.sum(lease.c.amount - lease.c.settled).label("micros"))
        .where(lease.c.state == "open")
        .group_by(lease.c.tenant_id)
    )
    return {row.tenant_id: int(row.micros) for row in rows}


def add_settled(db: Db, lease_id: int, micros: int) -> bool:
    """Count micros as charged to an open lease; False if it has not so much left."""
    changed = db.change(
        """
        UPDATE lease SET settled = settled + :micros
        WHERE id = :id AND state = 'open' AND settled + :micros <= amount
        """,
        {"id": lease_id, "micros": micros},
    )
    return changed == 1


def move_lease(db: Db, lease_id: int, *, to: LeaseState, now_ms: int) -> bool:
    """Move an open lease; False if it is not open."""
    changed = db.write(
        update(lease)
        .where(lease.c.id == lease_id, lease.c.state == "open")
        .values(state=to, ended_at_ms=now_ms)
    )
    return changed == 1


def _lease(row: Row[Any]) -> GrantedLease:
    return GrantedLease(
        lease_id=row.id,
        tenant_id=row.tenant_id,
        node_id=row.node_id,
        amount=row.amount,
        settled=row.settled,
        granted_at_ms=row.granted_at_ms,
        expires_at_ms=row.expires_at_ms,
        hold_until_ms=row.hold_until_ms,
        state=row.state,
        heard=row.heard == 1,
        stated_at_ms=row.stated_at_ms,
    )

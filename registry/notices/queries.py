"""SQL of the notices."""

from dataclasses import dataclass

from sqlalchemy import func, select

from protocol.lifecycle import State
from registry.store.database import Db
from registry.store.tables.accounts import person
from registry.store.tables.allocations import allocation, allocation_event
from registry.store.tables.tenants import member_role

PAYER_ROLES = ("owner", "billing")
PAYERS_NAMED_MAX = 2


@dataclass(frozen=True, slots=True)
class Stopped:
    """Workloads that stopped for want of money: how many, and when the last one did."""

    count: int
    last_at_ms: int | None


def get_stopped(db: Db, tenant_id: str) -> Stopped:
    """Return what stopped for want of money and was not released since."""
    out = State.INSUFFICIENT_BALANCE.value
    row = db.row(
        select(
            func.count(allocation.c.allocation_id.distinct()).label("many"),
            func.max(allocation_event.c.at_ms).label("last_at_ms"),
        )
        .join(allocation_event, allocation_event.c.allocation_id == allocation.c.allocation_id)
        .where(
            allocation.c.tenant_id == tenant_id,
            allocation.c.state == out,
            allocation_event.c.state == out,
        )
    )
    assert row is not None
    return Stopped(row.many, row.last_at_ms)


def list_payers(db: Db, tenant_id: str) -> list[str]:
    """Return the addresses of a few people who may add funds."""
    rows = db.rows(
        select(person.c.email)
        .join(member_role, member_role.c.person_id == person.c.person_id)
        .where(member_role.c.tenant_id == tenant_id, member_role.c.role.in_(PAYER_ROLES))
        .group_by(person.c.email)
        .order_by(func.min(member_role.c.since_ms))
        .limit(PAYERS_NAMED_MAX)
    )
    return [row.email for row in rows]

"""SQL of the notices."""

from dataclasses import dataclass

from sqlalchemy import func, select

from protocol.lifecycle import State
from registry.store.database import Db
from registry.store.tables.allocations import allocation, allocation_event


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

"""SQL of the statements."""

from collections.abc import Iterable

from sqlalchemy import func, literal, select, union_all

from registry.statements.segments import HourUse, StreamName
from registry.store.database import Db
from registry.store.tables.access import api_key
from registry.store.tables.allocations import allocation
from registry.store.tables.usage import usage_hour

NAME = (
    usage_hour.c.node_id,
    usage_hour.c.epoch,
    usage_hour.c.owner_id,
    usage_hour.c.meter,
    usage_hour.c.sku,
)


def list_hours(
    db: Db, tenant_id: str, *, from_ms: int, to_ms: int, owner_id: str | None = None
) -> list[HourUse]:
    """Return what a tenant's streams came to by hour, stream by stream and in order."""
    wanted = [
        usage_hour.c.tenant_id == tenant_id,
        usage_hour.c.hour_ms >= from_ms,
        usage_hour.c.hour_ms < to_ms,
    ]
    if owner_id is not None:
        wanted.append(usage_hour.c.owner_id == owner_id)
    rows = db.rows(
        select(
            *NAME,
            usage_hour.c.project_id,
            usage_hour.c.hour_ms,
            usage_hour.c.quantity,
            usage_hour.c.charged,
        )
        .where(*wanted)
        .order_by(*NAME, usage_hour.c.hour_ms)
    )
    return [
        HourUse(
            stream=StreamName(row.node_id, row.epoch, row.owner_id, row.meter, row.sku),
            project_id=row.project_id,
            hour_ms=int(row.hour_ms),
            quantity=int(row.quantity),
            charged=int(row.charged),
        )
        for row in rows
    ]


def counts_before(
    db: Db, tenant_id: str, owner_ids: Iterable[str], *, before_ms: int
) -> dict[StreamName, int]:
    """Return what the streams of these owners had counted before an hour edge."""
    rows = db.rows(
        select(*NAME, func.sum(usage_hour.c.quantity).label("counted"))
        .where(
            usage_hour.c.tenant_id == tenant_id,
            usage_hour.c.owner_id.in_(sorted(set(owner_ids))),
            usage_hour.c.hour_ms < before_ms,
        )
        .group_by(*NAME)
    )
    return {
        StreamName(row.node_id, row.epoch, row.owner_id, row.meter, row.sku): int(row.counted)
        for row in rows
    }


def first_hour_ms(db: Db, tenant_id: str) -> int | None:
    """Return the first hour in which the tenant used anything, or None."""
    first = db.value(
        select(func.min(usage_hour.c.hour_ms)).where(usage_hour.c.tenant_id == tenant_id)
    )
    return None if first is None else int(first)


def charged_between(db: Db, tenant_id: str, *, from_ms: int, to_ms: int) -> int:
    """Return what a tenant was charged for usage between two hour edges."""
    return int(
        db.value(
            select(func.coalesce(func.sum(usage_hour.c.charged), 0)).where(
                usage_hour.c.tenant_id == tenant_id,
                usage_hour.c.hour_ms >= from_ms,
                usage_hour.c.hour_ms < to_ms,
            )
        )
    )


def names_of(db: Db, tenant_id: str, owner_ids: Iterable[str]) -> dict[str, str]:
    """Return the names of the tenant's allocations and API keys, by id."""
    wanted = sorted(set(owner_ids))
    rows = db.rows(
        union_all(
            select(allocation.c.allocation_id.label("id"), allocation.c.name).where(
                allocation.c.tenant_id == tenant_id, allocation.c.allocation_id.in_(wanted)
            ),
            select(api_key.c.api_key_id, literal("Key ").concat(api_key.c.name)).where(
                api_key.c.tenant_id == tenant_id, api_key.c.api_key_id.in_(wanted)
            ),
        )
    )
    return {row.id: row.name for row in rows}

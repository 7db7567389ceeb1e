"""SQL across rooms, for figures that more than one page shows."""

from sqlalchemy import func, select

from registry.store.database import Db
from registry.store.tables.access import api_key
from registry.store.tables.allocations import allocation
from registry.store.tables.ledger import account
from registry.store.tables.usage import stream, usage_hour


def charged_by_node(db: Db, *, from_ms: int) -> dict[str, int]:
    """Return what was charged for usage since an hour edge, by node."""
    rows = db.rows(
        select(usage_hour.c.node_id, func.sum(usage_hour.c.charged).label("micros"))
        .where(usage_hour.c.hour_ms >= from_ms)
        .group_by(usage_hour.c.node_id)
    )
    return {row.node_id: int(row.micros) for row in rows}


def use_by_key(db: Db, tenant_id: str) -> dict[str, tuple[int, int]]:
    """Return when each of the tenant's API keys was last used, and the micros spent with it."""
    rows = db.rows(
        select(
            stream.c.owner_id,
            func.max(stream.c.end_ms).label("end_ms"),
            func.sum(stream.c.charged).label("micros"),
        )
        .join(api_key, api_key.c.api_key_id == stream.c.owner_id)
        .where(api_key.c.tenant_id == tenant_id)
        .group_by(stream.c.owner_id)
    )
    return {row.owner_id: (int(row.end_ms), int(row.micros)) for row in rows}


def was_funded(db: Db, tenant_id: str) -> bool:
    """Whether the tenant ever had money or credit."""
    return db.row(select(account.c.name).where(account.c.tenant_id == tenant_id)) is not None


def has_launched(db: Db, tenant_id: str) -> bool:
    """Whether the tenant ever launched anything."""
    one = select(allocation.c.allocation_id).where(allocation.c.tenant_id == tenant_id)
    return db.row(one.limit(1)) is not None


def has_called(db: Db, tenant_id: str) -> bool:
    """Whether verified usage of a model is the tenant's."""
    one = select(stream.c.owner_id).where(
        stream.c.tenant_id == tenant_id, stream.c.owner_id.like("k\\_%", escape="\\")
    )
    return db.row(one.limit(1)) is not None

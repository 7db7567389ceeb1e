"""SQL of the SKUs and their prices."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select

from protocol.price import Price
from protocol.refusal import Refusal
from registry.store.database import Db
from registry.store.tables.catalogue import price_version, sku

SHAPES_LISTED = "`outstation gpus` lists the shapes, as /launch and GET /api/v1/gpus do"


@dataclass(frozen=True, slots=True)
class Sku:
    """A sellable shape, or a model.  active: not retired; simulated: for demo mode alone"""

    sku_id: str
    sku_class: str
    name: str
    accelerator_model: str
    accelerator_count: int
    accelerator_memory_mib: int
    cpu_milli: int
    memory_mib: int
    disk_mib: int
    power_w: int
    simulated: bool
    active: bool


def find_sku(db: Db, sku_id: str) -> Sku | None:
    """Return the SKU, or None."""
    row = db.row(select(sku).where(sku.c.sku_id == sku_id))
    return None if row is None else _read(row)


def get_sku(db: Db, sku_id: str) -> Sku:
    """Return the SKU; refuse one that is not in the catalogue."""
    found = find_sku(db, sku_id)
    if found is None:
        raise Refusal(
            code="sku_unknown",
            status=404,
            message="sku: the catalogue has no such shape.",
            hint=f"Choose another; {SHAPES_LISTED}.",
            field="sku",
        )
    return found


def list_skus(db: Db) -> list[Sku]:
    """Return the whole catalogue, retired SKUs too, by class and id."""
    return [_read(row) for row in db.rows(select(sku).order_by(sku.c.sku_class, sku.c.sku_id))]


def list_prices(db: Db, sku_ids: Iterable[str] | None = None) -> list[Price]:
    """Return every price version of these SKUs, or of all, oldest first."""
    wanted = select(price_version).order_by(
        price_version.c.sku_id, price_version.c.meter, price_version.c.version
    )
    if sku_ids is not None:
        wanted = wanted.where(price_version.c.sku_id.in_(list(sku_ids)))
    return [
        Price(
            sku=row.sku_id,
            meter=row.meter,
            version=row.version,
            num=row.num,
            den=row.den,
            effective_at_ms=row.effective_at_ms,
        )
        for row in db.rows(wanted)
    ]


def insert_sku(db: Db, made: Sku, *, now_ms: int) -> bool:
    """Add a SKU; False, and nothing done, if its id is taken."""
    return db.insert_new(
        sku,
        {
            "sku_id": made.sku_id,
            "sku_class": made.sku_class,
            "name": made.name,
            "accelerator_model": made.accelerator_model,
            "accelerator_count": made.accelerator_count,
            "accelerator_memory_mib": made.accelerator_memory_mib,
            "cpu_milli": made.cpu_milli,
            "memory_mib": made.memory_mib,
            "disk_mib": made.disk_mib,
            "power_w": made.power_w,
            "simulated": int(made.simulated),
            "created_at_ms": now_ms,
        },
    )


def insert_price(db: Db, price: Price, *, now_ms: int, created_by: str) -> None:
    """Add a price version; it never changes."""
    db.write(
        price_version.insert().values(
            sku_id=price.sku,
            meter=price.meter,
            version=price.version,
            num=price.num,
            den=price.den,
            effective_at_ms=price.effective_at_ms,
            created_at_ms=now_ms,
            created_by=created_by,
        )
    )


def _read(row: Row[Any]) -> Sku:
    return Sku(
        sku_id=row.sku_id,
        sku_class=row.sku_class,
        name=row.name,
        accelerator_model=row.accelerator_model,
        accelerator_count=row.accelerator_count,
        accelerator_memory_mib=row.accelerator_memory_mib,
        cpu_milli=row.cpu_milli,
        memory_mib=row.memory_mib,
        disk_mib=row.disk_mib,
        power_w=row.power_w,
        simulated=bool(row.simulated),
        active=row.retired_at_ms is None,
    )

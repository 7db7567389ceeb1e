"""Loading a catalogue: new SKUs are added, prices that differ become new versions."""

from dataclasses import dataclass

from protocol.clock import DAY_MS, next_hour
from protocol.price import Price
from protocol.refusal import Refusal
from registry.audit.operations import record
from registry.catalogue import queries
from registry.catalogue.queries import Sku
from registry.catalogue.sku import Catalogue, PriceLine, SkuLine, effective_hour
from registry.nodes.queries import move_every_generation
from registry.store.database import Db
from registry.tenants.roles import Actor, require


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a catalogue file changed: ids of new SKUs, and new price versions."""

    skus: tuple[str, ...]
    prices: tuple[Price, ...]


def load_catalogue(db: Db, catalogue: Catalogue, *, actor: Actor, now_ms: int) -> Loaded:
    """Add what is new; a SKU whose shape differs from the one that was sold is refused.

    A first price holds from the running hour; a lower one from the next hour edge; a higher one
    from an hour edge at least a day ahead, so that nobody's running work gets dearer unannounced.
    """
    require(actor, "catalogue.change")
    added = [line.id for line in catalogue.sku if _add_sku(db, line, now_ms=now_ms)]
    prices = []
    for line in catalogue.sku:
        known = queries.list_prices(db, [line.id])
        for price in line.price:
            version = _new_version(line.id, price, known, now_ms=now_ms)
            if version is not None:
                queries.insert_price(db, version, now_ms=now_ms, created_by=actor.subject)
                prices.append(version)
    if prices:
        # Nodes hear of prices with their desired state alone.
        move_every_generation(db, now_ms=now_ms)
    record(
        db,
        actor=actor,
        action="catalogue.load",
        object_id="catalogue",
        tenant_id=None,
        detail={"skus": len(added), "prices": len(prices)},
        now_ms=now_ms,
    )
    return Loaded(skus=tuple(added), prices=tuple(prices))


def _add_sku(db: Db, line: SkuLine, *, now_ms: int) -> bool:
    made = Sku(
        sku_id=line.id,
        sku_class=line.sku_class,
        name=line.name,
        accelerator_model=line.accelerator_model,
        accelerator_count=line.accelerator_count,
        accelerator_memory_mib=line.accelerator_memory_mib,
        cpu_milli=line.cpu_milli,
        memory_mib=line.memory_mib,
        disk_mib=line.disk_mib,
        power_w=line.power_w,
        simulated=line.simulated,
        active=True,
    )
    if queries.insert_sku(db, made, now_ms=now_ms):
        return True
    if queries.find_sku(db, line.id) != made:
        raise Refusal(
            code="sku_differs",
            status=409,
            message=f"{line.id}: is in the catalogue with another shape.",
            hint="A shape that was sold never changes: give the new one an id of its own.",
            field=line.id,
        )
    return False


def _new_version(sku_id: str, line: PriceLine, known: list[Price], *, now_ms: int) -> Price | None:
    """Return the version to add, or None where the latest already says the same."""
    versions = [price for price in known if price.meter == line.meter]
    latest = max(versions, key=lambda price: price.version, default=None)
    if latest is None:
        effective_at_ms = effective_hour(now_ms)
    elif latest.num * line.per == line.micros * latest.den:
        return None
    else:
        is_higher = line.micros * latest.den > latest.num * line.per
        begins_ms = next_hour(now_ms + DAY_MS) if is_higher else next_hour(now_ms)
        effective_at_ms = max(begins_ms, next_hour(latest.effective_at_ms))
    return Price(
        sku=sku_id,
        meter=line.meter,
        version=latest.version + 1 if latest else 1,
        num=line.micros,
        den=line.per,
        effective_at_ms=effective_at_ms,
    )

"""JSON: the catalogue with the prices in force."""

from flask import Blueprint, Response

from protocol.price import price_at
from registry.catalogue import queries
from registry.server.envelope import answered
from registry.server.session import actor, db, now_ms, with_api_key
from registry.tenants.roles import require

api = Blueprint("catalogue_api", __name__)


@api.get("/api/v1/skus")
@with_api_key
def list_skus() -> Response:
    """Answer every SKU on sale with its price in force for each meter."""
    require(actor(), "sku.list")
    with db().reading():
        skus = [sku for sku in queries.list_skus(db()) if sku.active]
        prices = queries.list_prices(db(), [sku.sku_id for sku in skus])
    meters = {(price.sku, price.meter) for price in prices}
    in_force = {
        (sku_id, meter): price_at(prices, sku=sku_id, meter=meter, at_ms=now_ms())
        for sku_id, meter in meters
    }
    return answered(
        [
            {
                "id": sku.sku_id,
                "class": sku.sku_class,
                "name": sku.name,
                "accelerator": sku.accelerator_model,
                "accelerators": sku.accelerator_count,
                "cpu_milli": sku.cpu_milli,
                "memory_mib": sku.memory_mib,
                "disk_mib": sku.disk_mib,
                "simulated": sku.simulated,
                "prices": [
                    {"meter": meter, "micros": price.num, "per": price.den}
                    for (sku_id, meter), price in sorted(in_force.items())
                    if sku_id == sku.sku_id and price is not None
                ],
            }
            for sku in skus
        ]
    )

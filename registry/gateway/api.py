"""The models a key may call, in the shape of the OpenAI API."""

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from protocol.clock import SECOND_MS
from protocol.price import Price, price_at
from protocol.wire import encode
from registry.access.queries import get_key
from registry.catalogue.queries import list_prices, list_skus
from registry.gateway.operations import OfferedModel, offered_models
from registry.nodes.node import Node
from registry.nodes.queries import list_nodes
from registry.nodes.standing import standing
from registry.server.session import actor, db, now_ms, with_api_key
from registry.tenants.roles import require

CURRENCY = "USD"
OWNER = "outstation"

api = Blueprint("gateway_api", __name__)


@api.get("/v1/models")
@api.get("/api/v1/models")
@with_api_key
def list_models() -> ResponseReturnValue:
    """Answer the models this key may call now, where they run and what they cost."""
    require(actor(), "model.list")
    tenant_id = actor().tenant_id
    assert tenant_id is not None
    with db().reading():
        key = get_key(db(), actor().subject, tenant_id=tenant_id)
        nodes = {node.node_id: node for node in list_nodes(db()) if _is_online(node)}
        offered = offered_models(
            db(), allowed=key.models, online=frozenset(nodes), prices=_prices_in_force()
        )
    found = {"object": "list", "data": [_model(model, nodes) for model in offered]}
    return Response(encode(found), content_type="application/json")


def _is_online(node: Node) -> bool:
    is_known = node.public_key is not None and not node.revoked
    return is_known and standing(node.last_contact_at_ms, now_ms=now_ms()) == "online"


def _prices_in_force() -> list[Price]:
    models = [sku.sku_id for sku in list_skus(db()) if sku.active and sku.sku_class == "model"]
    prices = list_prices(db(), models)
    in_force = (
        price_at(prices, sku=sku, meter=meter, at_ms=now_ms())
        for sku, meter in sorted({(price.sku, price.meter) for price in prices})
    )
    return [price for price in in_force if price is not None]


def _model(model: OfferedModel, nodes: dict[str, Node]) -> dict[str, object]:
    serving = [nodes[node_id] for node_id in model.node_ids]
    since_ms = min(price.effective_at_ms for price in model.prices)
    return {
        "id": model.name,
        "object": "model",
        "created": since_ms // SECOND_MS,
        "owned_by": model.owned_by or OWNER,
        "context_length": model.context_tokens,
        "nodes": [node.name for node in serving],
        "base_urls": [f"{node.gateway_url}/v1" for node in serving if node.gateway_url],
        "countries": sorted({node.country for node in serving}),
        "prices": [
            {
                "meter": price.meter,
                "micros": price.num,
                "per": price.den,
                "currency": CURRENCY,
                "version": price.version,
            }
            for price in model.prices
        ],
    }

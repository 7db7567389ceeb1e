"""The models a key may call, in the shape of the OpenAI API."""

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from protocol.clock import SECOND_MS
from protocol.wire import encode
from registry.access.queries import get_key
from registry.gateway.operations import CallableModel, callable_models
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
        offered = callable_models(db(), tenant_id, allowed=key.models, now_ms=now_ms())
    found = {"object": "list", "data": [_model(one) for one in offered]}
    return Response(encode(found), content_type="application/json")


def _model(found: CallableModel) -> dict[str, object]:
    model, serving = found.model, found.serving
    since_ms = min(price.effective_at_ms for price in model.prices)
    return {
        "id": model.name,
        "object": "model",
        "created": since_ms // SECOND_MS,
        "owned_by": model.owned_by or OWNER,
        "context_length": model.context_tokens,
        "nodes": [one.node.name for one in serving],
        "base_urls": [one.base_url for one in serving if one.base_url],
        "countries": sorted({one.node.country for one in serving}),
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

"""JSON: what a tenant used and what it came to, stream by stream."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from registry.server.envelope import answered
from registry.server.session import actor, db, with_api_key
from registry.tenants.roles import require
from registry.usage.queries import list_costs

api = Blueprint("usage_api", __name__)


@api.get("/api/v1/usage")
@with_api_key
def list_usage() -> ResponseReturnValue:
    """Answer the streams of the key's organization, the latest used first."""
    require(actor(), "billing.view")
    tenant_id = actor().tenant_id
    assert tenant_id is not None
    with db().reading():
        costs = list_costs(db(), tenant_id=tenant_id)
    return answered(
        [
            {
                "owner": cost.owner_id,
                "node": cost.node_id,
                "meter": cost.meter,
                "sku": cost.sku,
                "from_at_ms": cost.begin_ms,
                "to_at_ms": cost.end_ms,
                "quantity": cost.quantity,
                "charged_micros": cost.charged,
            }
            for cost in costs
        ]
    )

"""JSON: what is left to spend."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from registry.balances.operations import standing
from registry.ledger.queries import get_balance
from registry.server.envelope import answered
from registry.server.session import actor, db, now_ms, with_api_key
from registry.tenants.roles import require

CURRENCY = "USD"

api = Blueprint("overview_api", __name__)


@api.get("/api/v1/balance")
@with_api_key
def show_balance() -> ResponseReturnValue:
    """Answer what is free to spend, what nodes hold, and how long it lasts."""
    require(actor(), "billing.view")
    tenant_id = actor().tenant_id
    assert tenant_id is not None
    with db().reading():
        balance = get_balance(db(), tenant_id)
        stands = standing(db(), tenant_id, now_ms=now_ms()).posture
    return answered(
        {
            "currency": CURRENCY,
            "available_micros": balance.available,
            "wallet_micros": balance.wallet,
            "promo_micros": balance.promo,
            "owed_micros": balance.owed,
            "credit_limit_micros": balance.credit_limit,
            "held_micros": balance.held,
            "hourly_micros": stands.burn_micros_per_hour,
            "state": stands.state,
            "runway_ms": stands.runway_ms,
        }
    )

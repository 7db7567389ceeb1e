"""Objects in the shape in which Stripe sends them, with the fields that anybody may read."""

from typing import Any

Object = dict[str, Any]
HOSTED_PATH = "/c/pay/"


def customer(object_id: str, *, created: int, params: Object) -> Object:
    return {
        "id": object_id,
        "object": "customer",
        "created": created,
        "currency": None,
        "description": params.get("description"),
        "email": params.get("email"),
        "livemode": False,
        "metadata": params.get("metadata", {}),
        "name": params.get("name"),
    }


def session(object_id: str, *, created: int, params: Object, total: int, base_url: str) -> Object:
    return {
        "id": object_id,
        "object": "checkout.session",
        "amount_subtotal": total,
        "amount_total": total,
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "created": created,
        "currency": params["line_items"][0]["price_data"]["currency"],
        "customer": params.get("customer"),
        "expires_at": params.get("expires_at", created + 86_400),
        "livemode": False,
        "metadata": params.get("metadata", {}),
        "mode": params["mode"],
        "payment_intent": None,
        "payment_status": "unpaid",
        "status": "open",
        "success_url": params["success_url"],
        "ui_mode": "hosted_page",
        "url": f"{base_url}{HOSTED_PATH}{object_id}",
    }


def payment_intent(
    object_id: str,
    *,
    created: int,
    amount: int,
    currency: str,
    customer_id: str | None,
    metadata: Object,
    setup_future_usage: str | None = None,
    receipt_email: str | None = None,
) -> Object:
    return {
        "id": object_id,
        "object": "payment_intent",
        "amount": amount,
        "amount_received": 0,
        "canceled_at": None,
        "created": created,
        "currency": currency,
        "customer": customer_id,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": dict(metadata),
        "payment_method": None,
        "receipt_email": receipt_email,
        "setup_future_usage": setup_future_usage,
        "status": "requires_payment_method",
    }


def payment_method(object_id: str, *, created: int, last4: str, customer_id: str | None) -> Object:
    return {
        "id": object_id,
        "object": "payment_method",
        "card": {"brand": "visa", "exp_month": 8, "exp_year": 2030, "last4": last4},
        "created": created,
        "customer": customer_id,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }


def charge(object_id: str, *, created: int, intent: Object) -> Object:
    return {
        "id": object_id,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"],
        "amount_refunded": 0,
        "balance_transaction": None,
        "captured": True,
        "created": created,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "disputed": False,
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "paid": True,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "receipt_url": None,
        "refunded": False,
        "status": "succeeded",
    }


def refund(object_id: str, *, created: int, of: Object, amount: int, params: Object) -> Object:
    return {
        "id": object_id,
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": of["id"],
        "created": created,
        "currency": of["currency"],
        "failure_balance_transaction": None,
        "metadata": params.get("metadata", {}),
        "payment_intent": of["payment_intent"],
        "reason": params.get("reason"),
        "status": "succeeded",
    }


def dispute(object_id: str, *, created: int, of: Object, reason: str) -> Object:
    return {
        "id": object_id,
        "object": "dispute",
        "amount": of["amount"] - of["amount_refunded"],
        "balance_transactions": [],
        "charge": of["id"],
        "created": created,
        "currency": of["currency"],
        "evidence_details": {
            "due_by": created + 7 * 86_400,
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": of["payment_intent"],
        "reason": reason,
        "status": "needs_response",
    }


def transaction(
    object_id: str, *, created: int, kind: str, amount: int, fee: int, source: str | None
) -> Object:
    return {
        "id": object_id,
        "object": "balance_transaction",
        "amount": amount,
        "available_on": created,
        "created": created,
        "currency": "usd",
        "description": None,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [],
        "net": amount - fee,
        "reporting_category": kind,
        "source": source,
        "status": "available",
        "type": kind,
    }


def event(object_id: str, *, created: int, kind: str, about: Object) -> Object:
    return {
        "id": object_id,
        "object": "event",
        "api_version": None,
        "created": created,
        "data": {"object": about},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def connected_account(object_id: str, *, created: int, params: Object) -> Object:
    return {
        "id": object_id,
        "object": "account",
        "charges_enabled": False,
        "country": params.get("country", "US"),
        "created": created,
        "default_currency": "usd",
        "details_submitted": True,
        "email": params.get("email"),
        "metadata": params.get("metadata", {}),
        "payouts_enabled": True,
        "type": "none",
    }


def transfer(object_id: str, *, created: int, params: Object) -> Object:
    return {
        "id": object_id,
        "object": "transfer",
        "amount": params["amount"],
        "amount_reversed": 0,
        "balance_transaction": None,
        "created": created,
        "currency": params["currency"],
        "description": params.get("description"),
        "destination": params["destination"],
        "destination_payment": f"py_{object_id}",
        "livemode": False,
        "metadata": params.get("metadata", {}),
        "reversals": listed([], url=f"/v1/transfers/{object_id}/reversals"),
        "reversed": False,
        "source_type": "card",
        "transfer_group": params.get("transfer_group"),
    }


def transfer_reversal(object_id: str, *, created: int, of: Object, amount: int) -> Object:
    return {
        "id": object_id,
        "object": "transfer_reversal",
        "amount": amount,
        "balance_transaction": None,
        "created": created,
        "currency": of["currency"],
        "metadata": {},
        "transfer": of["id"],
    }


def balance(cents: int) -> Object:
    return {
        "object": "balance",
        "available": [{"amount": cents, "currency": "usd", "source_types": {"card": cents}}],
        "livemode": False,
        "pending": [{"amount": 0, "currency": "usd", "source_types": {"card": 0}}],
    }


def listed(objects: list[Object], *, url: str, has_more: bool = False) -> Object:
    return {"object": "list", "data": objects, "has_more": has_more, "url": url}

"""Webhooks as Stripe sends them, and as nobody should."""

import hashlib
import hmac
import json
from dataclasses import dataclass

from tests.fakes.stripe.shapes import Object

SECRET = "whsec_fake_current"
NEXT_SECRET = "whsec_fake_next"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The body of a webhook, and its header `Stripe-Signature`."""

    body: bytes
    signature: str


def signed(event: Object, *, at_ms: int, secret: str = SECRET) -> Delivery:
    """Return a delivery of this event, signed at this moment."""
    body = json.dumps(event, indent=2).encode()
    return Delivery(body, signature_of(body, at_s=at_ms // 1000, secret=secret))


def signature_of(body: bytes, *, at_s: int, secret: str = SECRET) -> str:
    """Return the header over a body."""
    mac = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={mac}"

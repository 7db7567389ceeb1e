"""Which API key is asking: SHA-256 of what was sent, looked up in the signed key set held here.

The node decides alone.  A set that has grown stale admits nobody, since a revocation may be in the
newer one that never came.
"""

import hmac
import re
from dataclasses import dataclass

from protocol.ids import ALPHABET
from protocol.key_set import KEY_CHARACTERS, ApiKeyFact, KeySet, secret_hash
from protocol.refusal import Refusal

BEARER_PATTERN = re.compile(
    rf"Bearer +(?P<secret>ok_[{ALPHABET}]{{{KEY_CHARACTERS}}})", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """A key set, ready to be asked."""

    version: int
    stale_at_ms: int
    by_hash: dict[str, ApiKeyFact]


def key_ring(key_set: KeySet) -> KeyRing:
    """Return a key set as a ring."""
    return KeyRing(
        version=key_set.version,
        stale_at_ms=key_set.stale_at_ms,
        by_hash={key.hash: key for key in key_set.keys},
    )


def read_key(ring: KeyRing | None, authorization: str | None, *, now_ms: int) -> ApiKeyFact:
    """Return the key that an Authorization header names; refuse any that is not good now."""
    if authorization is None:
        raise _unknown("No API key was sent.")
    match = BEARER_PATTERN.fullmatch(authorization.strip())
    if match is None:
        raise _unknown("The Authorization header holds no API key of this service.")
    if ring is None or now_ms >= ring.stale_at_ms:
        raise _stale()
    sent = secret_hash(match["secret"])
    fact = ring.by_hash.get(sent)
    if fact is None or not hmac.compare_digest(fact.hash, sent):
        raise _unknown("This API key is not known here.")
    if fact.expires_at_ms is not None and now_ms >= fact.expires_at_ms:
        raise Refusal(
            code="key_expired",
            status=401,
            message="This API key has expired.",
            hint="Create a new key on the page Keys and use that.",
            limit_source="key",
        )
    return fact


def check_model_allowed(key: ApiKeyFact, model: str) -> None:
    """Refuse a model that the key is not for."""
    if not may_call(key, model):
        raise Refusal(
            code="model_forbidden",
            status=403,
            message="This API key is not for this model.",
            hint="Use a model that GET /v1/models lists, or a key that allows this one.",
            field="model",
            limit_source="key",
        )


def may_call(key: ApiKeyFact, model: str) -> bool:
    """Whether the key is for the model."""
    return not key.models or model in key.models


def _unknown(message: str) -> Refusal:
    return Refusal(
        code="invalid_api_key",
        status=401,
        message=message,
        hint="Send Authorization: Bearer ok_… with a key from the page Keys.",
    )


def _stale() -> Refusal:
    return Refusal(
        code="key_set_stale",
        status=503,
        message="This node has not heard from its registry for so long that it cannot tell which "
        "API keys are still good.",
        hint="Use another node, or try again once this one is connected.",
        limit_source="site_lease",
        retry_after_s=60,
    )

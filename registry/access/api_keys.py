"""API keys: `ok_` and 256 random bits, of which only a hash and a prefix are kept."""

from dataclasses import dataclass

from protocol.clock import DAY_MS
from protocol.ids import base32
from protocol.key_set import KEY_CHARACTERS, KEY_PATTERN, KEY_PREFIX
from protocol.refusal import Refusal

SECRET_BYTES = 32
SCOPES = ("compute", "inference")
ROLE_OF_SCOPE = {"compute": "api_compute", "inference": "api_inference"}
REQUESTS_PER_MINUTE = 600
CONCURRENCY = 64
MODELS_MAX = 64
KEYS_PER_TENANT_MAX = 1000
EXPIRY_DAYS = {"30": 30, "90": 90, "365": 365, "never": None}
"""What the form offers; None is a key that does not end by itself."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as it is kept.

    models              names it may call; empty for every model
    changed_in_version  the version of the key set that first held its present state
    """

    api_key_id: str
    tenant_id: str
    project_id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    models: tuple[str, ...]
    created_by: str
    created_at_ms: int
    expires_at_ms: int | None
    revoked_at_ms: int | None
    changed_in_version: int
    requests_per_minute: int = REQUESTS_PER_MINUTE
    concurrency: int = CONCURRENCY

    @property
    def roles(self) -> frozenset[str]:
        """What the holder may do, as roles."""
        return frozenset(ROLE_OF_SCOPE[scope] for scope in self.scopes)


def new_secret(entropy: bytes) -> str:
    """Return a key's secret: `ok_` and 52 characters."""
    assert len(entropy) == SECRET_BYTES
    return KEY_PREFIX + base32(int.from_bytes(entropy, "big"), KEY_CHARACTERS)


def is_secret(text: str) -> bool:
    """Whether the text has the form of an API key."""
    return KEY_PATTERN.fullmatch(text) is not None


def state_of(key: ApiKey, *, now_ms: int) -> str:
    """Return active, revoked or expired."""
    if key.revoked_at_ms is not None:
        return "revoked"
    is_over = key.expires_at_ms is not None and key.expires_at_ms <= now_ms
    return "expired" if is_over else "active"


def expiry(choice: str, *, now_ms: int) -> int | None:
    """Return when a key made now ends, for one of the choices of the form."""
    if choice not in EXPIRY_DAYS:
        raise Refusal(
            code="expiry_invalid",
            status=422,
            message="Choose how long the key is good for.",
            hint="Offered are 30 days, 90 days, a year and never.",
            field="expires",
        )
    days = EXPIRY_DAYS[choice]
    return None if days is None else now_ms + days * DAY_MS

"""API keys."""

from dataclasses import dataclass, field

from web.view_models.parts import Form, NewSecret


@dataclass(frozen=True, slots=True)
class ApiKeyRow:
    """state: active revoked expired;  honoured_nodes of total_nodes know this state already"""

    key_id: str
    name: str
    prefix: str
    state: str
    created_at_ms: int
    created_by: str
    honoured_nodes: int
    total_nodes: int
    expires_at_ms: int | None = None
    last_used_at_ms: int | None = None
    spent_micros: int = 0


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """A gateway that serves models now.  base_url: as programs take it"""

    base_url: str
    node: str
    place: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApiKeysPage:
    """GET, POST /access/api-keys; POST answers this page with `secret` set.

    fields     name, expires (days or "never"), idempotency_key
    endpoints  where models can be called now; empty while no node serves one
    """

    now_ms: int
    rows: tuple[ApiKeyRow, ...]
    idempotency_key: str
    endpoints: tuple[EndpointRow, ...] = ()
    form: Form = field(default_factory=Form)
    secret: NewSecret | None = None
    can_create: bool = True

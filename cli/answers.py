"""What the registry's JSON API answers, as far as the command uses it."""

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Problem(msgspec.Struct, frozen=True):
    """Why the answer is no."""

    code: str
    message: str
    hint: str = ""
    retryable: bool = False
    limit_source: str | None = None
    field: str | None = None


class Answer(msgspec.Struct, Generic[T], frozen=True):
    """Every answer of `/api/v1` but the OpenAI-shaped ones."""

    ok: bool
    data: T | None = None
    error: Problem | None = None
    request_id: str = ""


class Named(msgspec.Struct, frozen=True):
    """Something with an id and a name."""

    id: str
    name: str


class Me(msgspec.Struct, frozen=True):
    """Who the key is."""

    subject: str
    tenant: Named
    project: Named
    key_prefix: str = ""


class Balance(msgspec.Struct, frozen=True):
    """Money of a tenant, in micros of `currency`; held_micros stands in leases to nodes."""

    currency: str
    available_micros: int
    wallet_micros: int
    promo_micros: int
    held_micros: int
    hourly_micros: int
    state: str
    runway_ms: int | None = None


class Place(msgspec.Struct, frozen=True):
    """A site with room for a shape."""

    id: str
    name: str
    country: str
    free: int


class Shape(msgspec.Struct, frozen=True):
    """A shape on sale; hourly_micros: None while it has no price."""

    id: str
    name: str
    accelerator: str
    accelerators: int
    simulated: bool
    hourly_micros: int | None
    currency: str
    free: int
    cpu_milli: int = 0
    memory_mib: int = 0
    disk_mib: int = 0
    unavailable: str = ""
    sites: tuple[Place, ...] = ()


class Event(msgspec.Struct, frozen=True):
    """One step of the state path."""

    at_ms: int
    state: str
    fact: str


class Allocation(msgspec.Struct, frozen=True):
    """An allocation as a list shows it; `events` and `receipts` only when asked for alone."""

    id: str
    name: str
    state: str
    sku: str
    accelerators: int
    simulated: bool
    node: str
    site: str
    charging: bool
    hourly_micros: int
    spent_micros: int
    currency: str
    created_at_ms: int
    reason: str = ""
    fact: str = ""
    release_at_ms: int | None = None
    events: tuple[Event, ...] = ()
    receipts: tuple[str, ...] = ()


class Model(msgspec.Struct, frozen=True):
    """A model of the OpenAI-shaped list."""

    id: str
    owned_by: str = ""
    context_length: int | None = None
    nodes: tuple[str, ...] = ()


class ModelList(msgspec.Struct, frozen=True):
    """`GET /api/v1/models`; its request id travels in a header."""

    data: tuple[Model, ...] = ()
    request_id: str = ""

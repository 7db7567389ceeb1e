"""The launch page: one page, one submit."""

from dataclasses import dataclass, field

from web.view_models.parts import Check, Choice, Fact, Form


@dataclass(frozen=True, slots=True)
class SkuCard:
    """A SKU to choose; a sold-out one stays visible and says why.

    price_micros_per_hour  of one GPU
    unavailable            why it cannot be chosen now, or nothing
    """

    sku: str
    name: str
    cpu_milli: int
    memory_mib: int
    price_micros_per_hour: int
    free_gpus: int
    free_sites: int
    simulated: bool = False
    unavailable: str = ""


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One line of the price."""

    label: str
    micros_per_hour: int


@dataclass(frozen=True, slots=True)
class Alternative:
    """What could be launched now instead, with one press.

    value  of the field `instead`: SKU, number of GPUs and place
    """

    value: str
    label: str
    where: str
    micros_per_hour: int
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class LaunchReview:
    """What would happen now; live part allocations/_review.html of GET /launch/review.

    runway_ms  how long the balance lasts with this running too; None when it costs nothing
    defaults   what was not chosen and holds anyway
    ready      every check passes: the button is offered either way, the answer says why not
    blocked    why nothing that can be had is chosen, so that the button is not offered; or nothing
    alternatives  the nearest that a node could take now, where the choice cannot be taken
    """

    lines: tuple[PriceLine, ...]
    total_micros_per_hour: int
    balance_micros: int
    runway_ms: int | None
    checks: tuple[Check, ...]
    request: str
    defaults: tuple[Fact, ...] = ()
    ready: bool = True
    blocked: str = ""
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class Shortfall:
    """402: what is missing, and where to pay it."""

    missing_micros: int
    needed_micros: int
    balance_micros: int
    add_funds_href: str


@dataclass(frozen=True, slots=True)
class PlacementRow:
    """Why a site did not take the workload: what it needs, what is free, which rule refused."""

    site: str
    needed: str
    free: str
    rule: str


@dataclass(frozen=True, slots=True)
class LaunchPage:
    """GET, POST /launch.

    fields     sku, gpu_count, place, image, command, environment (KEY=value lines), kind, name,
               idempotency_key; instead (sku, gpu_count and place of an alternative)
    refused    the refusal that concerns no field, in words; refused_hint: what to do
    placement  one row per site when no node could take it
    """

    idempotency_key: str
    skus: tuple[SkuCard, ...]
    gpu_counts: tuple[int, ...]
    places: tuple[Choice, ...]
    review: LaunchReview
    form: Form = field(default_factory=Form)
    images: tuple[Choice, ...] = ()
    kinds: tuple[Choice, ...] = ()
    shortfall: Shortfall | None = None
    refused: str = ""
    refused_hint: str = ""
    placement: tuple[PlacementRow, ...] = ()

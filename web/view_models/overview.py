"""Home, and what a search found."""

from dataclasses import dataclass

from web.view_models.allocations import WorkloadRow
from web.view_models.parts import AttentionItem, Chart


@dataclass(frozen=True, slots=True)
class SetupStep:
    """A step of the first run; the list is shown until all are done."""

    label: str
    hint: str
    href: str
    done: bool


@dataclass(frozen=True, slots=True)
class Funds:
    """Balance and how long it lasts.

    state      funded low critical depleted frozen closed
    runway_ms  None when nothing is being spent
    """

    balance_micros: int
    burn_micros_per_hour: int
    runway_ms: int | None
    spent_30d_micros: int
    held_micros: int
    state: str


@dataclass(frozen=True, slots=True)
class SiteTile:
    """A site on the operator's Home."""

    name: str
    href: str
    place: str
    nodes_online: int
    nodes_total: int
    gpus_used: int
    gpus_total: int
    nodes_degraded: int = 0
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class HomePage:
    """GET /; live part overview/_home.html.

    funds  None for those who do not see an account;  setup  empty when all is done
    active_count  workloads that have not ended; the list shows those that just did as well
    spend  figures per day of the last 30 days, or None before the first charge
    """

    now_ms: int
    live_url: str
    greeting: str
    attention: tuple[AttentionItem, ...]
    funds: Funds | None
    workloads: tuple[WorkloadRow, ...]
    setup: tuple[SetupStep, ...] = ()
    sites: tuple[SiteTile, ...] = ()
    spend: Chart | None = None
    active_count: int = 0
    can_launch: bool = False
    smallest_price_micros_per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class SearchHit:
    """kind: Page, Workload, Node, Site, Key"""

    kind: str
    label: str
    detail: str
    href: str


@dataclass(frozen=True, slots=True)
class SearchPage:
    """GET /search?q=: one exact id answers 303 to the object instead."""

    query: str
    hits: tuple[SearchHit, ...]

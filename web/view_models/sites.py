"""Sites: the list and adding one."""

from dataclasses import dataclass, field

from web.view_models.parts import Choice, Form


@dataclass(frozen=True, slots=True)
class SiteRow:
    """power_now_w is None where no node reports it.  market: `open` or `private`"""

    site_id: str
    name: str
    place: str
    kind: str
    connectivity: str
    power_kw: int
    power_now_w: int | None
    nodes_online: int
    nodes_total: int
    gpus_used: int
    gpus_total: int
    nodes_degraded: int = 0
    simulated: bool = False
    nodes_href: str = ""
    market: str = "private"


@dataclass(frozen=True, slots=True)
class SitesPage:
    """GET /sites.  is_private: whether one of the organization's own sites is"""

    now_ms: int
    rows: tuple[SiteRow, ...]
    can_add: bool = False
    is_private: bool = False


@dataclass(frozen=True, slots=True)
class NewSitePage:
    """GET, POST /sites/new.

    fields  name, city, country, kind, power_kw, connectivity, idempotency_key
    """

    kinds: tuple[Choice, ...]
    connectivities: tuple[Choice, ...]
    countries: tuple[Choice, ...]
    idempotency_key: str
    form: Form = field(default_factory=Form)

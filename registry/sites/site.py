"""What a site is, and the words for its kind and its connection."""

from dataclasses import dataclass

from registry.sites.countries import COUNTRIES

POWER_KW_MAX = 100_000

KINDS = {
    "telecom_room": "Telecom room",
    "university": "University",
    "bank": "Bank",
    "hospital": "Hospital",
    "industrial_park": "Industrial park",
    "edge_room": "Edge room",
    "other": "Other",
}
CONNECTIVITIES = {
    "fibre_redundant": "Fibre, two ways in",
    "fibre": "Fibre",
    "cable": "Cable or DSL",
    "mobile": "4G or 5G",
    "satellite": "Satellite",
}


@dataclass(frozen=True, slots=True)
class Site:
    """A place.

    tenant_id     whose it is
    country       two letters
    power_kw      what nodes may draw
    opened_at_ms  when it was first opened to the market, None if never
    closed_at_ms  since when it is closed again, None if it is not
    """

    site_id: str
    tenant_id: str
    name: str
    city: str
    country: str
    kind: str
    connectivity: str
    power_kw: int
    opened_at_ms: int | None = None
    closed_at_ms: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether it serves other organizations than its own."""
        return self.opened_at_ms is not None and self.closed_at_ms is None

    @property
    def place(self) -> str:
        """City and country in words."""
        return f"{self.city}, {COUNTRIES.get(self.country, self.country)}"


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """A site as it was described, before it has an id."""

    name: str
    city: str
    country: str
    kind: str
    connectivity: str
    power_kw: int


def differences(site: Site, facts: SiteFacts) -> tuple[str, ...]:
    """Return the names of what the facts say otherwise than the site that is there."""
    names = ("country", "kind", "connectivity", "power_kw")
    return tuple(name for name in names if getattr(site, name) != getattr(facts, name))


@dataclass(frozen=True, slots=True)
class SiteFigures:
    """What runs at a site.  power_now_w: None where no node reports it

    nodes_degraded  in contact, with something wrong; none of them counts as online
    """

    nodes_online: int = 0
    nodes_degraded: int = 0
    nodes_total: int = 0
    gpus_used: int = 0
    gpus_total: int = 0
    power_now_w: int | None = None
    simulated: bool = False

"""What can be launched now and what it would cost, as the launch page asks it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from protocol.manifest import Manifest
from protocol.price import Price, hourly_micros, price_at
from protocol.usage import GPU_MS
from registry.allocations.placement import Candidate, WhyNot, Wish, why_not

MARKET = "outstation-market"
"""Under this name `app.py` hands the doors a function that returns the Market as it stands."""


@dataclass(frozen=True, slots=True)
class Place:
    """A site with room.  free: how many of a shape fit there"""

    site_id: str
    site: str
    country: str
    free: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A SKU on sale.

    hourly_micros   None while no price is in force
    free, sites     how many of its shape fit on nodes that could take them now, at how many sites
    most            how many fit on the node with the most room when nothing else runs there
    places          where they are free
    """

    sku_id: str
    name: str
    accelerator_model: str
    accelerator_count: int
    cpu_milli: int
    memory_mib: int
    disk_mib: int
    power_w: int
    simulated: bool
    hourly_micros: int | None
    free: int = 0
    sites: int = 0
    most: int = 0
    places: tuple[Place, ...] = ()

    @property
    def unavailable(self) -> str:
        """Why it cannot be chosen now, in words; nothing when it can."""
        if self.hourly_micros is None:
            return "No price in force"
        return "" if self.free else "None free now"


@dataclass(frozen=True, slots=True)
class OfferedApp:
    """An app as the image field names it."""

    slug: str
    label: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything the launch page looks at, read at one moment.

    countries, sites   where nodes are enrolled: (value of the field, label)
    available_micros   what may still be promised to a node
    left_micros        the balance with what is promised already
    burn               what everything that is charging costs an hour, in micros
    candidates         every node as placement sees it, by accelerator model
    """

    offers: tuple[Offer, ...]
    apps: tuple[OfferedApp, ...]
    places: tuple[tuple[str, str], ...]
    available_micros: int
    left_micros: int
    burn: int
    candidates: Mapping[str, tuple[Candidate, ...]]
    may_launch: bool

    def offer(self, sku_id: str) -> Offer | None:
        """Return the offer of this SKU."""
        return next((offer for offer in self.offers if offer.sku_id == sku_id), None)


def wish_for(offer: Offer, count: int, *, country: str | None, site_id: str | None) -> Wish:
    """Return what placement must find for so many of an offer, whatever the image."""
    return Wish(
        model=offer.accelerator_model,
        count=offer.accelerator_count * count,
        image_digest="",
        country=country,
        site_id=site_id,
        power_w=offer.power_w * count,
        simulated=offer.simulated,
    )


def refusals(wish: Wish, candidates: Iterable[Candidate]) -> tuple[WhyNot, ...] | None:
    """Return each node's reason against the wish, or None if one can take it."""
    reasons = []
    for candidate in candidates:
        reason = why_not(wish, candidate)
        if reason is None:
            return None
        reasons.append(reason)
    return tuple(reasons)


def with_room(offer: Offer, candidates: Iterable[Candidate]) -> Offer:
    """Return the offer with where it is free, and the most of it that one node can hold."""
    one = wish_for(offer, 1, country=None, site_id=None)
    free = most = 0
    places: dict[str, Place] = {}
    for node in candidates:
        if node.simulated is offer.simulated:
            most = max(most, node.total // offer.accelerator_count)
        if why_not(one, node) is None:
            fits = node.free // offer.accelerator_count
            free += fits
            found = places.get(node.site_id)
            fits += found.free if found else 0
            places[node.site_id] = Place(node.site_id, node.site_name, node.country, fits)
    where = tuple(sorted(places.values(), key=lambda place: (place.site, place.site_id)))
    return replace(offer, free=free, sites=len(where), most=most, places=where)


def smallest_hourly(
    prices: Iterable[Price], accelerators: Mapping[str, int], *, now_ms: int
) -> int | None:
    """Return what the cheapest shape costs an hour, or None while none has a price.

    accelerators  of each SKU on sale, by its id
    """
    found = list(prices)
    in_force = (
        (price_at(found, sku=sku_id, meter=GPU_MS, at_ms=now_ms), count)
        for sku_id, count in accelerators.items()
    )
    return min((hourly_micros(price, count) for price, count in in_force if price), default=None)

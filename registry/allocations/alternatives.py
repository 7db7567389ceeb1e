"""What else could be launched now where the choice cannot: what changes least comes first."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from registry.allocations.offers import Offer, Survey, refusals, wish_for

COUNTS = (1, 2, 4, 8, 16)
ALTERNATIVES_MAX = 3


@dataclass(frozen=True, slots=True)
class Choices:
    """What is chosen so far, as far as it can be read."""

    offer: Offer | None
    count: int
    country: str | None
    site_id: str | None
    image: str

    @property
    def hourly_micros(self) -> int:
        """What it costs an hour; 0 while nothing with a price is chosen."""
        if self.offer is None or self.offer.hourly_micros is None:
            return 0
        return self.offer.hourly_micros * self.count


def fits(survey: Survey, chosen: Choices) -> bool:
    """Whether a node could take the choice now."""
    offer = chosen.offer
    if offer is None or offer.hourly_micros is None:
        return False
    wish = wish_for(offer, chosen.count, country=chosen.country, site_id=chosen.site_id)
    return refusals(wish, survey.candidates.get(offer.accelerator_model, ())) is None


def alternatives(survey: Survey, chosen: Choices) -> tuple[Choices, ...]:
    """Return at most ALTERNATIVES_MAX choices that a node could take now, the nearest first.

    The same shape elsewhere, then fewer of it, then other shapes by how near their price is; each
    shape at most once.  Nothing while no shape is chosen or where the choice fits itself.
    """
    if chosen.offer is None or fits(survey, chosen):
        return ()
    found: dict[str, Choices] = {}
    for one in _nearest(survey, chosen, chosen.offer):
        assert one.offer is not None
        if one.offer.sku_id not in found and fits(survey, one):
            found[one.offer.sku_id] = one
        if len(found) == ALTERNATIVES_MAX:
            break
    return tuple(found.values())


def _nearest(survey: Survey, chosen: Choices, offer: Offer) -> Iterator[Choices]:
    yield from _near(chosen)
    others = [one for one in survey.offers if one.sku_id != offer.sku_id]
    others.sort(key=lambda one: _distance(offer, one))
    for other in others:
        yield from _near(replace(chosen, offer=other))


def _near(chosen: Choices) -> Iterator[Choices]:
    """Yield the choice, then elsewhere, then with fewer, here before elsewhere."""
    anywhere = replace(chosen, country=None, site_id=None)
    yield from (chosen, anywhere)
    for count in reversed([number for number in COUNTS if number < chosen.count]):
        yield from (replace(chosen, count=count), replace(anywhere, count=count))


def _distance(offer: Offer, other: Offer) -> tuple[bool, int, str]:
    """Return how far a shape is from another: simulated GPUs are no neighbours of real ones."""
    apart = abs((other.hourly_micros or 0) - (offer.hourly_micros or 0))
    return other.simulated is not offer.simulated, apart, other.sku_id

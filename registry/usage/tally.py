"""What the records of a batch come to: per hour, per lease and per tenant."""

from dataclasses import dataclass, field

from protocol.clock import hour_of
from protocol.price import charge
from protocol.usage import TIME_METERS, Use
from registry.ledger.postings import UsageCharge, site_share
from registry.log_events.given_back import GivenBack
from registry.rating.charge import CLASSES, count_until, divided
from registry.rating.price_book import PriceBook
from registry.usage.bounds import time_max
from registry.usage.log_state import LeaseStanding, OwnerFact, Stream, StreamKey

HourKey = tuple[StreamKey, int]
"""A stream and the UTC hour edge at which an hour of it begins."""

SKUS_NAMED_MAX = 3


@dataclass(slots=True)
class HourSum:
    """What a stream came to in one hour of this batch."""

    quantity: int = 0
    rated: int = 0
    charged: int = 0


@dataclass(slots=True)
class TenantSum:
    """What a tenant's records of this batch came to."""

    by_class: dict[str, int] = field(default_factory=dict)
    quantities: dict[tuple[str, str, str], int] = field(default_factory=dict)
    charged: int = 0
    overrun: int = 0
    late: int = 0
    share: int = 0


class Tally:
    """Sums over the records of one batch, in log order."""

    def __init__(self, prices: PriceBook, *, site_id: str, share_basis_points: int) -> None:
        self._prices = prices
        self._site_id = site_id
        self._share_basis_points = share_basis_points
        self.hours: dict[HourKey, HourSum] = {}
        self.tenants: dict[str, TenantSum] = {}
        self.settled: dict[int, int] = {}
        self.given_back: list[GivenBack] = []

    @property
    def counts(self) -> dict[tuple[str, int], int]:
        """What was counted, by meter and hour."""
        counts: dict[tuple[str, int], int] = {}
        for ((_, meter, _), hour_ms), hour in self.hours.items():
            counts[meter, hour_ms] = counts.get((meter, hour_ms), 0) + hour.quantity
        return counts

    def rated(self, use: Use) -> int:
        """Return what a record comes to by the price in force when it began; refuse if none was."""
        price = self._prices.price_at(use.sku, use.meter, use.begin_ms)
        return charge(price, before=use.cumulative - use.quantity, after=use.cumulative)

    def add(
        self,
        use: Use,
        rated: int,
        *,
        stream: Stream,
        owner: OwnerFact,
        lease: LeaseStanding,
    ) -> None:
        """Divide a record's price and count it in everywhere; stream and lease move on.

        use    one record, or several of one stream, lease and hour joined
        rated  what it comes to
        """
        due = self._due(use, rated, owner, stream) if lease.state == "open" else 0
        borne = divided(rated=rated, due=due, remaining=lease.amount - lease.settled)
        charged = borne.charged
        share = site_share(
            self._share_basis_points, before=stream.charged, after=stream.charged + charged
        )
        stream.rated += rated
        stream.charged += charged
        stream.shared += share
        if charged:
            lease.settled += charged
            self.settled[use.lease_id] = self.settled.get(use.lease_id, 0) + charged
        counted = (use.allocation_id, use.meter, use.sku)
        self._count_hour(counted, use.begin_ms, use.quantity, rated=rated, charged=charged)
        tenant = self.tenants.get(use.tenant_id)
        if tenant is None:
            tenant = self.tenants[use.tenant_id] = TenantSum()
        usage_class = CLASSES[use.meter]
        tenant.by_class[usage_class] = tenant.by_class.get(usage_class, 0) + rated
        tenant.quantities[counted] = tenant.quantities.get(counted, 0) + use.quantity
        tenant.charged += charged
        tenant.overrun += borne.overrun
        tenant.late += borne.late
        tenant.share += share

    def give_back(self, use: Use, *, index: int, stream: Stream) -> None:
        """Take back a part of a record at the price it had; stream and hour move back with it.

        use  the part: its quantity, and its cumulative count where the part ends

        What no lease covered was never the tenant's to pay, so no more comes back than was charged.
        """
        micros = min(self.rated(use), stream.charged)
        share = site_share(
            self._share_basis_points, before=stream.charged - micros, after=stream.charged
        )
        stream.rated -= micros
        stream.charged -= micros
        stream.shared -= share
        counted = (use.allocation_id, use.meter, use.sku)
        self._count_hour(counted, use.begin_ms, -use.quantity, rated=-micros, charged=-micros)
        charge = UsageCharge(
            by_class={CLASSES[use.meter]: -micros},
            charged=-micros,
            overrun=0,
            late=0,
            share=-share,
            site_id=self._site_id,
            ref=use.allocation_id,
            memo=use.sku,
            meter=use.meter,
            quantity=-use.quantity,
        )
        self.given_back.append(GivenBack(index, use.tenant_id, charge))

    def usage_charge(self, tenant_id: str) -> UsageCharge | None:
        """Return what a tenant's usage came to, for its journal; None if it came to nothing."""
        found = self.tenants[tenant_id]
        if not any(found.by_class.values()):
            return None
        owners = {owner for owner, _, _ in found.quantities}
        meters = {meter for _, meter, _ in found.quantities}
        skus = sorted({sku for _, _, sku in found.quantities})
        more = len(skus) - SKUS_NAMED_MAX
        return UsageCharge(
            by_class=found.by_class,
            charged=found.charged,
            overrun=found.overrun,
            late=found.late,
            share=found.share,
            site_id=self._site_id,
            ref=owners.pop() if len(owners) == 1 else "",
            memo=", ".join(skus[:SKUS_NAMED_MAX]) + (f" and {more} more" if more > 0 else ""),
            meter=next(iter(meters)) if len(meters) == 1 else "",
            quantity=sum(found.quantities.values()) if len(meters) == 1 else None,
        )

    def _count_hour(
        self, key: StreamKey, at_ms: int, quantity: int, *, rated: int, charged: int
    ) -> None:
        place = (key, hour_of(at_ms))
        hour = self.hours.get(place)
        if hour is None:
            hour = self.hours[place] = HourSum()
        hour.quantity += quantity
        hour.rated += rated
        hour.charged += charged

    def _due(self, use: Use, rated: int, owner: OwnerFact, stream: Stream) -> int:
        """Return what of `rated` came before the release of its allocation, and can have come."""
        before, after = use.cumulative - use.quantity, use.cumulative
        begin_ms, end_ms = use.begin_ms, use.end_ms
        until = count_until(
            owner.released_at_ms, begin_ms=begin_ms, end_ms=end_ms, before=before, after=after
        )
        most = time_max(owner, stream.begin_ms) if use.meter in TIME_METERS else None
        if most is not None and most < until:
            until = max(most, before)
        if until == after:
            return rated
        price = self._prices.price_at(use.sku, use.meter, use.begin_ms)
        return charge(price, before=before, after=until)

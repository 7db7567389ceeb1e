"""The same usage as rows of FOCUS 1.2, the FinOps Foundation's form of a bill: one per hour.

https://focus.finops.org/focus-specification/v1-2/ lists the columns.  Amounts are decimals with six
places, so that their sum is the statement's total to the micro.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from protocol.clock import HOUR_MS
from protocol.money import MICROS_PER_UNIT
from protocol.price import Price
from protocol.usage import GPU_MS
from registry.rating.charge import CLASSES
from registry.rating.price_book import PriceBook
from registry.statements.segments import HourUse
from web.format import utc_iso

NULL = ""
CATEGORIES = {
    "gpu": ("Compute", "Virtual Machines"),
    "inference": ("AI and Machine Learning", "Generative AI"),
    "storage": ("Storage", "Block Storage"),
    "network": ("Networking", "Network Infrastructure"),
    "energy": ("Other", "Other (Other)"),
}
UNITS = {
    GPU_MS: ("GPU-Hours", HOUR_MS),
    "tok.in": ("Tokens", 1),
    "tok.cached": ("Tokens", 1),
    "tok.out": ("Tokens", 1),
    "img": ("Images", 1),
    "req": ("Requests", 1),
    "sto.mib_s": ("MiB-Seconds", 1),
    "net.out_b": ("Bytes", 1),
    "en.mj": ("Millijoules", 1),
}
"""How a meter is told there, and how many of its units make one of those."""

COLUMNS = (
    "AvailabilityZone", "BilledCost", "BillingAccountId", "BillingAccountName",
    "BillingAccountType", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd",
    "ChargePeriodStart", "CommitmentDiscountCategory", "CommitmentDiscountId",
    "CommitmentDiscountName", "CommitmentDiscountStatus", "CommitmentDiscountType",
    "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice", "EffectiveCost",
    "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory", "PricingQuantity",
    "PricingUnit", "ProviderName", "PublisherName", "RegionId", "RegionName", "ResourceId",
    "ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "ServiceSubcategory",
    "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountId", "SubAccountName",
    "SubAccountType", "Tags", "x_LogOrigin",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bill:
    """What every row of a bill says alike.

    names, projects  of owners and projects, by id;  places  (site, country) by node id
    origins          names of logs by (node id, epoch)
    simulated        nodes whose GPUs are not real
    """

    tenant_id: str
    tenant_name: str
    provider: str
    currency: str
    begin_ms: int
    end_ms: int
    names: Mapping[str, str]
    projects: Mapping[str, str]
    places: Mapping[str, tuple[str, str]]
    origins: Mapping[tuple[str, int], str]
    simulated: frozenset[str] = frozenset()


def focus_rows(
    bill: Bill, hours: Iterable[HourUse], prices: Iterable[Price]
) -> Iterator[list[str]]:
    """Yield the rows of a bill, in the order of COLUMNS."""
    book = PriceBook(prices)
    for hour in hours:
        stream = hour.stream
        price = book.price_at(stream.sku, stream.meter, hour.hour_ms)
        row = _common(bill) | _usage(bill, hour, price)
        yield [row.get(column, NULL) for column in COLUMNS]


def decimal(numerator: int, denominator: int, places: int = 6) -> str:
    """Return a fraction as a decimal, cut after so many places, always with a point."""
    assert numerator >= 0
    scaled = numerator * 10**places // denominator
    return f"{scaled // 10**places}.{scaled % 10**places:0{places}}"


def _moment(at_ms: int) -> str:
    """Return a moment to the second, the one form that the specification takes."""
    return utc_iso(at_ms).partition(".")[0] + "Z"


def _common(bill: Bill) -> dict[str, str]:
    return {
        "BillingAccountId": bill.tenant_id,
        "BillingAccountName": bill.tenant_name,
        "BillingAccountType": "Organization",
        "BillingCurrency": bill.currency,
        "BillingPeriodStart": _moment(bill.begin_ms),
        "BillingPeriodEnd": _moment(bill.end_ms),
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "InvoiceIssuerName": bill.provider,
        "ProviderName": bill.provider,
        "PublisherName": bill.provider,
        "PricingCategory": "Standard",
        "SubAccountType": "Project",
    }


def _usage(bill: Bill, hour: HourUse, price: Price) -> dict[str, str]:
    stream = hour.stream
    unit, width = UNITS[stream.meter]
    quantity = decimal(hour.quantity, width, 9)
    unit_price = decimal(price.num * width, price.den * MICROS_PER_UNIT, 12)
    cost = decimal(hour.charged, MICROS_PER_UNIT)
    usage_class = CLASSES[stream.meter]
    category, subcategory = CATEGORIES.get(usage_class, CATEGORIES["energy"])
    name = bill.names.get(stream.owner_id, stream.owner_id)
    site, country = bill.places.get(stream.node_id, (NULL, NULL))
    return {
        "AvailabilityZone": site,
        "BilledCost": cost,
        "ChargeDescription": f"{name}: {stream.meter} on {stream.sku}",
        "ChargePeriodStart": _moment(hour.hour_ms),
        "ChargePeriodEnd": _moment(hour.hour_ms + HOUR_MS),
        "ConsumedQuantity": quantity,
        "ConsumedUnit": unit,
        "ContractedCost": cost,
        "ContractedUnitPrice": unit_price,
        "EffectiveCost": cost,
        "ListCost": cost,
        "ListUnitPrice": unit_price,
        "PricingQuantity": quantity,
        "PricingUnit": unit,
        "RegionId": country,
        "RegionName": country,
        "ResourceId": stream.owner_id,
        "ResourceName": name,
        "ResourceType": "API key" if stream.owner_id.startswith("k_") else "Workload",
        "ServiceCategory": category,
        "ServiceName": stream.sku,
        "ServiceSubcategory": subcategory,
        "SkuId": stream.sku,
        "SkuMeter": stream.meter,
        "SkuPriceId": f"{stream.sku}/{stream.meter}@{price.version}",
        "SubAccountId": hour.project_id,
        "Tags": '{"simulated": "true"}' if stream.node_id in bill.simulated else "{}",
        "SubAccountName": bill.projects.get(hour.project_id, hour.project_id),
        "x_LogOrigin": bill.origins.get((stream.node_id, stream.epoch), NULL),
    }

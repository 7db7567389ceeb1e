"""Hours of usage into the lines of a statement: one per stream and price version."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from protocol.price import Price, charge
from protocol.refusal import Fault
from registry.rating.price_book import PriceBook


@dataclass(frozen=True, slots=True)
class StreamName:
    """Which stream of which log."""

    node_id: str
    epoch: int
    owner_id: str
    meter: str
    sku: str


@dataclass(frozen=True, slots=True)
class HourUse:
    """What a stream came to in one UTC hour."""

    stream: StreamName
    project_id: str
    hour_ms: int
    quantity: int
    charged: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A line to be proven: its first record begins at `before`, its last ends at `after`.

    before, after  cumulative counts of the stream
    """

    stream: StreamName
    project_id: str
    price: Price
    first_hour_ms: int
    last_hour_ms: int
    before: int
    after: int
    charged: int

    @property
    def unbilled(self) -> int:
        """Return what of its price was not the tenant's to pay."""
        rated = charge(self.price, before=self.before, after=self.after)
        if self.charged > rated:
            raise Fault(f"{self.stream}: more was charged than its price comes to")
        return rated - self.charged


def segments(
    hours: Iterable[HourUse], begun_at: Mapping[StreamName, int], prices: Iterable[Price]
) -> list[Segment]:
    """Return the lines of hours, which come stream by stream and in their order.

    begun_at  by stream: its cumulative count before the first of these hours
    """
    book = PriceBook(prices)
    found = []
    for stream, uses in groupby(hours, key=lambda hour: hour.stream):
        count = begun_at.get(stream, 0)
        for price, run in groupby(
            uses, key=lambda hour: book.price_at(hour.stream.sku, hour.stream.meter, hour.hour_ms)
        ):
            used = [hour for hour in run if hour.quantity]
            if not used:
                continue
            after = count + sum(hour.quantity for hour in used)
            found.append(
                Segment(
                    stream=stream,
                    project_id=used[0].project_id,
                    price=price,
                    first_hour_ms=used[0].hour_ms,
                    last_hour_ms=used[-1].hour_ms,
                    before=count,
                    after=after,
                    charged=sum(hour.charged for hour in used),
                )
            )
            count = after
    return found

"""Price versions by what they price; the one in force is found by the moment usage began."""

from bisect import bisect_right
from collections.abc import Iterable

from protocol.price import Price
from protocol.refusal import Refusal


class PriceBook:
    """Every price version that may matter, ready to be asked often."""

    def __init__(self, prices: Iterable[Price]) -> None:
        ordered = sorted(prices, key=lambda price: (price.effective_at_ms, price.version))
        self._versions: dict[tuple[str, str], list[Price]] = {}
        for price in ordered:
            self._versions.setdefault((price.sku, price.meter), []).append(price)
        self._span: tuple[int, int] | None = None
        self._edges = {
            priced: [version.effective_at_ms for version in versions]
            for priced, versions in self._versions.items()
        }

    def within(self, span: tuple[int, int] | None) -> "PriceBook":
        """Return the same versions, asked for no earlier and no later moment than in `span`."""
        if span is None:
            return self
        book = PriceBook(())
        book._versions, book._edges, book._span = self._versions, self._edges, span
        return book

    def price_at(self, sku: str, meter: str, at_ms: int) -> Price:
        """Return the version in force at `at_ms`; refuse if there was none."""
        if self._span is not None:
            at_ms = min(max(at_ms, self._span[0]), self._span[1])
        edges = self._edges.get((sku, meter), ())
        position = bisect_right(edges, at_ms)
        if position == 0:
            raise price_missing(sku, meter)
        return self._versions[sku, meter][position - 1]


def price_missing(sku: str, meter: str) -> Refusal:
    """Return the refusal of usage that nothing says the price of."""
    return Refusal(
        code="price_missing",
        status=409,
        message=f"{sku} has no price for {meter} in force.",
        hint="Set a price for it in the catalogue; usage is accepted from then on.",
    )

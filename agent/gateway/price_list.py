"""What a call of a model costs: its prices in force, the worst case, and the running total.

A model is sold while at least one of its meters has a price.  What a call came to is the growth of
its stream (API key and model), so that the node spends from a lease exactly what the registry will
charge, however calls are cut into usage records.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from protocol.clock import hour_of
from protocol.money import Micros
from protocol.price import Price, charge, price_at, worst_case
from protocol.refusal import Refusal
from protocol.usage import REQUESTS, TOKENS_IN, TOKENS_OUT


@dataclass(frozen=True, slots=True)
class Tokens:
    """Quantities of a call, or of all calls of a stream so far."""

    tokens_in: int = 0
    tokens_out: int = 0
    requests: int = 0

    def plus(self, more: "Tokens") -> "Tokens":
        """Return both together."""
        return Tokens(
            self.tokens_in + more.tokens_in,
            self.tokens_out + more.tokens_out,
            self.requests + more.requests,
        )


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """The prices of one model; None where a meter costs nothing."""

    tokens_in: Price | None
    tokens_out: Price | None
    requests: Price | None

    def worst(self, most: Tokens) -> Micros:
        """Return the most that these quantities can cost, wherever in a stream they fall."""
        return Micros(
            sum(
                worst_case(price, quantity)
                for price, quantity in zip(self._prices(), _quantities(most), strict=True)
                if price is not None
            )
        )

    def cost(self, before: Tokens, used: Tokens) -> Micros:
        """Return what a stream's growth by `used` costs."""
        after = before.plus(used)
        return Micros(
            sum(
                charge(price, before=begin, after=end)
                for price, begin, end in zip(
                    self._prices(), _quantities(before), _quantities(after), strict=True
                )
                if price is not None
            )
        )

    def _prices(self) -> tuple[Price | None, Price | None, Price | None]:
        return self.tokens_in, self.tokens_out, self.requests


class PriceList:
    """The prices of the desired state, asked once per model and hour."""

    def __init__(self, prices: Iterable[Price]) -> None:
        self._by_model: dict[str, list[Price]] = {}
        for price in prices:
            self._by_model.setdefault(price.sku, []).append(price)
        self._in_force: dict[str, tuple[int, ModelPrices | None]] = {}

    def find(self, model: str, *, at_ms: int) -> ModelPrices | None:
        """Return the prices of a model in force at `at_ms`, or None if it is not sold then."""
        versions = self._by_model.get(model)
        if versions is None:
            return None
        hour_ms = hour_of(at_ms)
        known = self._in_force.get(model)
        if known is None or known[0] != hour_ms:
            known = hour_ms, _in_force(versions, model, hour_ms)
            self._in_force[model] = known
        return known[1]

    def get(self, model: str, *, at_ms: int) -> ModelPrices:
        """Return the prices of a model; refuse one that is not sold."""
        prices = self.find(model, at_ms=at_ms)
        if prices is None:
            raise Refusal(
                code="model_not_sold",
                status=503,
                message="This model has no price on this node, so it is not sold here.",
                hint="Use a model that GET /v1/models lists, or ask the operator to price it.",
                field="model",
            )
        return prices


def _in_force(versions: list[Price], model: str, at_ms: int) -> ModelPrices | None:
    found = [
        price_at(versions, sku=model, meter=meter, at_ms=at_ms)
        for meter in (TOKENS_IN, TOKENS_OUT, REQUESTS)
    ]
    return None if all(price is None for price in found) else ModelPrices(*found)


def _quantities(tokens: Tokens) -> tuple[int, int, int]:
    return tokens.tokens_in, tokens.tokens_out, tokens.requests

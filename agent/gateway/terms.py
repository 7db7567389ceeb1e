"""What the registry last said about who may call and at which price; replaced whole by sync."""

from collections.abc import Iterable

from agent.gateway.key_ring import KeyRing, key_ring
from agent.gateway.price_list import PriceList
from protocol.key_set import KeySet
from protocol.price import Price


class Terms:
    """The keys and prices in force on this node; without keys nobody is admitted."""

    def __init__(self) -> None:
        self.keys: KeyRing | None = None
        self.prices = PriceList(())

    def take_key_set(self, key_set: KeySet | None) -> None:
        """Admit these keys from now on, and no other."""
        self.keys = key_ring(key_set) if key_set is not None else None

    def take_prices(self, prices: Iterable[Price]) -> None:
        """Sell at these prices from now on."""
        self.prices = PriceList(prices)

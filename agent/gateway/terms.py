"""What the registry last said about who may call and at which price; replaced whole by sync."""

from collections.abc import Iterable

from agent.gateway.key_ring import KeyRing, key_ring
from agent.gateway.price_list import PriceList
from protocol.balance import TenantBalance
from protocol.key_set import KeySet
from protocol.price import Price


class Terms:
    """The keys and prices in force on this node; without keys nobody is admitted."""

    def __init__(self) -> None:
        self.keys: KeyRing | None = None
        self.prices = PriceList(())
        self._balances: dict[str, str] = {}

    def take_key_set(self, key_set: KeySet | None) -> None:
        """Admit these keys from now on, and no other."""
        self.keys = key_ring(key_set) if key_set is not None else None

    def take_balances(self, balances: Iterable[TenantBalance]) -> None:
        """Say these states in answers from now on, and no other."""
        self._balances = {one.tenant_id: one.state for one in balances}

    def balance_state(self, tenant_id: str) -> str | None:
        """Return the state of a tenant's balance, where the registry said it."""
        return self._balances.get(tenant_id)

    def take_prices(self, prices: Iterable[Price]) -> None:
        """Sell at these prices from now on."""
        self.prices = PriceList(prices)

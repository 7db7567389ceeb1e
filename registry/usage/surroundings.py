"""What entries speak of and this room does not hold: who pays, at what price, on which lease."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from protocol.price import Price
from registry.usage.log_state import LeaseStanding, OwnerFact

Database = TypeVar("Database")


@dataclass(frozen=True, slots=True)
class Surroundings(Generic[Database]):
    """What entries speak of and this room does not hold.

    list_owners   (db, node_id, ids): allocations of that node and API keys, by id
    list_prices   (db, skus): every price version of these SKUs
    list_leases   (db, lease ids): leases by id
    settle_lease  (db, lease_id, micros): charge them to a lease; how many it covered
    close_lease   (db, lease_id, now_ms): nothing more will be spent of it
    """

    list_owners: Callable[[Database, str, Sequence[str]], Mapping[str, OwnerFact]]
    list_prices: Callable[[Database, Sequence[str]], Iterable[Price]]
    list_leases: Callable[[Database, Sequence[int]], Mapping[int, LeaseStanding]]
    settle_lease: Callable[[Database, int, int], int]
    close_lease: Callable[[Database, int, int], bool]

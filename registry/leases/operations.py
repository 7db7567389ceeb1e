"""Grant, settle, close: the only ways in which a hold on a balance changes."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from protocol.lease import Lease
from protocol.price import Price
from registry.leases import queries
from registry.leases.allotment import HOLD_MS, LIFE_MS, Live, Want, grant_amount
from registry.ledger.queries import change_held, get_balance
from registry.store.database import Db
from registry.usage.log_state import OwnerFact
from registry.usage.operations import Surroundings
from registry.usage.queries import find_latest_log

OVERDUE_MAX = 500


def surroundings(
    *,
    list_owners: Callable[[Db, str, Sequence[str]], Mapping[str, OwnerFact]],
    list_prices: Callable[[Db, Sequence[str]], Iterable[Price]],
) -> Surroundings:
    """Return what usage is taken in with: owners and prices as handed in, leases as kept here."""
    return Surroundings(
        list_owners=list_owners,
        list_prices=list_prices,
        list_leases=queries.list_standings,
        settle_lease=settle,
        close_lease=close,
    )


def grant_for_node(
    db: Db, node_id: str, *, burn: Mapping[str, int], serving: Collection[str], now_ms: int
) -> list[Lease]:
    """Top a node up for every tenant that needs it there, and return all its live leases.

    burn     by tenant: what its allocations on the node cost an hour
    serving  tenants whose API keys are accepted there for models that are offered

    A tenant in neither (suspended, or with nothing there any more) has its leases left out of the
    answer: the node stops its work.  A node whose log is frozen gets none at all.
    """
    log = find_latest_log(db, node_id)
    if log is not None and log.state == "frozen":
        return []
    wanted = sorted({*burn, *serving})
    for tenant_id in wanted:
        want = Want(tenant_id, burn.get(tenant_id, 0), serves_models=tenant_id in serving)
        _top_up(db, node_id, want, now_ms=now_ms)
    return [
        Lease(
            lease_id=lease.lease_id,
            tenant_id=lease.tenant_id,
            amount=lease.amount,
            expires_in_ms=lease.expires_at_ms - now_ms,
        )
        for lease in queries.list_open(db, node_id)
        if lease.tenant_id in wanted and lease.expires_at_ms > now_ms
    ]


def grant_first(
    db: Db, tenant_id: str, node_id: str, *, hourly_micros: int, now_ms: int
) -> int | None:
    """Grant what an allocation needs to begin on a node, if it does not hold that yet.

    hourly_micros  what the tenant's work there will cost an hour, this allocation included
    """
    return _top_up(db, node_id, Want(tenant_id, hourly_micros), now_ms=now_ms)


def settle(db: Db, lease_id: int, micros: int) -> int:
    """Charge up to `micros` to an open lease and return how many it covered."""
    lease = queries.find_lease(db, lease_id)
    assert lease is not None
    charged = min(micros, lease.remaining) if lease.state == "open" else 0
    if charged > 0:
        settled = queries.add_settled(db, lease_id, charged)
        freed = change_held(db, lease.tenant_id, -charged)
        assert settled
        assert freed
    return charged


def close(db: Db, lease_id: int, now_ms: int) -> bool:
    """Close a lease by the word of its node and give back what was left; False if it had ended."""
    return _end(db, lease_id, closed=True, now_ms=now_ms)


def release_overdue(db: Db, *, now_ms: int) -> int:
    """Give back holds of leases of which nothing was heard for too long; return how many."""
    overdue = queries.list_overdue(db, now_ms=now_ms, limit=OVERDUE_MAX)
    return sum(_end(db, lease.lease_id, closed=False, now_ms=now_ms) for lease in overdue)


def _top_up(db: Db, node_id: str, want: Want, *, now_ms: int) -> int | None:
    live = [
        Live(lease.remaining, lease.expires_at_ms)
        for lease in queries.list_open(db, node_id)
        if lease.tenant_id == want.tenant_id and lease.expires_at_ms > now_ms
    ]
    available = get_balance(db, want.tenant_id).available
    amount = grant_amount(want, live, available=available, now_ms=now_ms)
    if amount == 0 or not change_held(db, want.tenant_id, amount):
        return None
    return queries.insert_lease(
        db,
        tenant_id=want.tenant_id,
        node_id=node_id,
        amount=amount,
        granted_at_ms=now_ms,
        expires_at_ms=now_ms + LIFE_MS,
        hold_until_ms=now_ms + HOLD_MS,
    )


def _end(db: Db, lease_id: int, *, closed: bool, now_ms: int) -> bool:
    lease = queries.find_lease(db, lease_id)
    if lease is None:
        return False
    if not queries.move_lease(db, lease_id, to="closed" if closed else "released", now_ms=now_ms):
        return False
    freed = change_held(db, lease.tenant_id, -lease.remaining)
    assert freed or lease.remaining == 0
    return True

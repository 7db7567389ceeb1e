"""Grant, settle, close: the only ways in which a hold on a balance changes."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from protocol.clock import HOUR_MS, hour_of
from protocol.http_signature import AGE_MS_MAX
from protocol.lease import LEASES_MAX, Lease
from protocol.price import Price
from registry.audit.operations import record
from registry.leases import queries
from registry.leases.allotment import Live, Want, grant_amount, is_enough, surplus
from registry.leases.audit import hold_problems, unsaid_problems
from registry.leases.queries import GrantedLease
from registry.leases.terms import (
    TERMS,
    USUAL,
    TenantTerms,
    Terms,
    TermsByTrust,
    Trust,
    check_not_suspended,
    recalled_because,
)
from registry.ledger.audit import Problem
from registry.ledger.queries import change_held, get_balance, list_accounts
from registry.store.database import Db
from registry.tenants.naming import read_name
from registry.tenants.roles import Actor, require
from registry.usage.log_state import OwnerFact
from registry.usage.queries import find_latest_log
from registry.usage.surroundings import Surroundings

OVERDUE_MAX = 500
UNHEARD_MS = 2 * AGE_MS_MAX
"""A call made so long ago is not believed any more, whichever way its node's clock is off."""


def surroundings(
    *,
    list_owners: Callable[[Db, str, Sequence[str]], Mapping[str, OwnerFact]],
    list_prices: Callable[[Db, Sequence[str]], Iterable[Price]],
) -> Surroundings[Db]:
    """Return what usage is taken in with: owners and prices as handed in, leases as kept here."""
    return Surroundings(
        list_owners=list_owners,
        list_prices=list_prices,
        list_leases=queries.list_standings,
        settle_lease=settle,
        close_lease=close,
    )


def grant_for_node(
    db: Db,
    node_id: str,
    *,
    burn: Mapping[str, int],
    serving: Collection[str],
    now_ms: int,
    terms: TermsByTrust = TERMS,
) -> list[Lease]:
    """Top a node up for every tenant that needs it there, and return all its live leases.

    burn     by tenant: what its allocations on the node cost an hour
    serving  tenants whose API keys are accepted there for models that are offered
    terms    what each trust gives

    A tenant in neither (with nothing there any more), one that is suspended, and one whose money
    no longer covers what nodes hold of it has its leases left out of the answer: the node stops its
    work and closes them.  So are those that a node holds beyond its need, after a release: their
    money is free again once it has closed them.  A node whose log is frozen gets none at all.
    """
    log = find_latest_log(db, node_id)
    if log is not None and log.state == "frozen":
        return []
    wanted = sorted({*burn, *serving})
    standing = queries.list_terms(db, wanted)
    called = queries.charged_for_calls(db, node_id, from_ms=hour_of(now_ms) - HOUR_MS)
    stated: list[Lease] = []
    for tenant_id in wanted:
        tenant = standing.get(tenant_id, USUAL)
        available = get_balance(db, tenant_id).available
        if recalled_because(tenant, available=available):
            continue
        want = Want(
            tenant_id,
            burn.get(tenant_id, 0),
            serves_models=tenant_id in serving,
            called_micros=called.get(tenant_id, 0),
        )
        stated += _stated(
            db, node_id, want, terms[tenant.trust], available=available, now_ms=now_ms
        )
    return sorted(stated, key=lambda lease: lease.lease_id)


def grant_first(
    db: Db,
    tenant_id: str,
    node_id: str,
    *,
    hourly_micros: int,
    now_ms: int,
    terms: TermsByTrust = TERMS,
) -> int | None:
    """Grant what an allocation needs to begin on a node, if it does not hold that yet.

    hourly_micros  what the tenant's work there costs an hour, this allocation included

    Returns the lease granted, if any; refuses for a tenant that is suspended.
    """
    tenant = find_terms(db, tenant_id)
    check_not_suspended(tenant)
    want = Want(tenant_id, hourly_micros)
    available = get_balance(db, tenant_id).available
    given = terms[tenant.trust]
    held = list(_live(db, node_id, tenant_id, given, now_ms=now_ms).values())
    return _top_up(db, node_id, want, given, held, available=available, now_ms=now_ms)


def idle_by_node(
    db: Db, tenant_id: str, *, hourly_on: Callable[[Db, str], Mapping[str, int]]
) -> dict[str, int]:
    """Return what nodes hold of a tenant beyond an hour of its work there: a launch on that node
    is covered by it, before the node has given it back.

    hourly_on  (db, node_id): what each tenant's work there costs an hour
    """
    return {
        node_id: max(0, micros - hourly_on(db, node_id).get(tenant_id, 0))
        for node_id, micros in queries.exposure_by_node(db, tenant_id).items()
    }


def find_terms(db: Db, tenant_id: str) -> TenantTerms:
    """Return how a tenant stands."""
    return queries.list_terms(db, [tenant_id]).get(tenant_id, USUAL)


def change_trust(db: Db, tenant_id: str, trust: Trust, *, actor: Actor, now_ms: int) -> None:
    """Hand a tenant's money out on other terms; nodes hear of it at their next call."""
    require(actor, "tenant.govern", tenant_id=tenant_id)
    before = find_terms(db, tenant_id)
    queries.put_terms(db, tenant_id, replace(before, trust=trust), now_ms=now_ms)
    record(
        db,
        actor=actor,
        action="tenant.trust_changed",
        object_id=tenant_id,
        tenant_id=tenant_id,
        detail={"before": before.trust, "after": trust},
        now_ms=now_ms,
    )


def suspend(db: Db, tenant_id: str, why: str, *, actor: Actor, now_ms: int) -> None:
    """Take a tenant's spending right back: its work ends with the next call of each node, or, at a
    node that is cut off, with the life of its leases.  Done again, it changes the reason alone."""
    require(actor, "tenant.govern", tenant_id=tenant_id)
    said = read_name(why, field="why", label="The reason")
    before = find_terms(db, tenant_id)
    since_ms = now_ms if before.suspended_at_ms is None else before.suspended_at_ms
    after = replace(before, suspended_at_ms=since_ms, suspended_why=said)
    queries.put_terms(db, tenant_id, after, now_ms=now_ms)
    record(
        db,
        actor=actor,
        action="tenant.suspended",
        object_id=tenant_id,
        tenant_id=tenant_id,
        detail={"why": said},
        now_ms=now_ms,
    )


def resume(db: Db, tenant_id: str, *, actor: Actor, now_ms: int) -> bool:
    """Let a suspended tenant work again; False if it was not suspended."""
    require(actor, "tenant.govern", tenant_id=tenant_id)
    before = find_terms(db, tenant_id)
    if before.suspended_at_ms is None:
        return False
    after = replace(before, suspended_at_ms=None, suspended_why="")
    queries.put_terms(db, tenant_id, after, now_ms=now_ms)
    record(
        db,
        actor=actor,
        action="tenant.resumed",
        object_id=tenant_id,
        tenant_id=tenant_id,
        now_ms=now_ms,
    )
    return True


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


def verify_holds(db: Db, *, logged: Collection[int]) -> tuple[Problem, ...]:
    """Return what is wrong with holds, and with leases that are not of those that logs speak of."""
    held: dict[str, int] = {}
    for row in list_accounts(db).values():
        if row.tenant_id is not None and row.held:
            held[row.tenant_id] = held.get(row.tenant_id, 0) + row.held
    leased = {tenant_id: left for tenant_id, left in queries.open_by_tenant(db).items() if left}
    strange = [lease.lease_id for lease in queries.list_strange(db, logged)]
    return (*hold_problems(held, leased), *unsaid_problems(strange))


def release_overdue(db: Db, *, now_ms: int) -> int:
    """Give back holds of leases of which nothing was heard for too long; return how many."""
    overdue = queries.list_overdue(db, now_ms=now_ms, limit=OVERDUE_MAX)
    return sum(_end(db, lease.lease_id, closed=False, now_ms=now_ms) for lease in overdue)


def give_back_unheard(
    db: Db, node_id: str, *, mentioned: Collection[int], stated: Collection[int], now_ms: int
) -> int:
    """Give back leases that never reached their node; return how many.

    mentioned  leases that the node spoke of in the call that is answered: all that it knows
    stated     those of the answer

    A node makes one call at a time and speaks of every lease it took from an answer until the next
    answer.  So once every call that might have been made before the last answer with a lease is
    too old to be believed, a call that does not speak of it comes from a node that will never know
    it, and nobody would ever close it.
    """
    unheard = [lease for lease in queries.list_open(db, node_id) if not lease.heard]
    if not unheard:
        return 0
    known = set(mentioned)
    waiting = [lease for lease in unheard if lease.lease_id not in known]
    queries.note_heard(db, [one.lease_id for one in unheard if one.lease_id in known])
    queries.note_stated(
        db, [one.lease_id for one in waiting if one.lease_id in stated], now_ms=now_ms
    )
    lost = [
        lease
        for lease in waiting
        if lease.lease_id not in stated and now_ms - lease.stated_at_ms > UNHEARD_MS
    ]
    if len(known) >= LEASES_MAX:
        return 0
    return sum(_end(db, lease.lease_id, closed=False, now_ms=now_ms) for lease in lost)


def _stated(
    db: Db, node_id: str, want: Want, terms: Terms, *, available: int, now_ms: int
) -> list[Lease]:
    """Return the leases of one tenant that a node is to go on with, topped up."""
    live = _live(db, node_id, want.tenant_id, terms, now_ms=now_ms)
    spare = surplus(want, live, terms=terms)
    kept = [lease for lease_id, lease in live.items() if lease_id not in spare]
    _top_up(db, node_id, want, terms, kept, available=available, now_ms=now_ms)
    live = _live(db, node_id, want.tenant_id, terms, now_ms=now_ms)
    kept = [lease for lease_id, lease in live.items() if lease_id not in spare]
    if not is_enough(want, kept, terms=terms):
        spare = set()
    return [
        Lease(
            lease_id=lease.lease_id,
            tenant_id=lease.tenant_id,
            amount=lease.amount,
            expires_in_ms=_expires_in_ms(lease, terms, now_ms=now_ms),
        )
        for lease in queries.list_open(db, node_id)
        if lease.lease_id in live and lease.lease_id not in spare
    ]


def _live(db: Db, node_id: str, tenant_id: str, terms: Terms, *, now_ms: int) -> dict[int, Live]:
    """Return the leases of one tenant that a node may still spend from."""
    return {
        lease.lease_id: Live(lease.remaining, now_ms + _expires_in_ms(lease, terms, now_ms=now_ms))
        for lease in queries.list_open(db, node_id)
        if lease.tenant_id == tenant_id and lease.expires_at_ms > now_ms
    }


def _top_up(
    db: Db,
    node_id: str,
    want: Want,
    terms: Terms,
    live: list[Live],
    *,
    available: int,
    now_ms: int,
) -> int | None:
    """Grant what is missing; return the lease, or None if nothing is or there is nothing left."""
    amount = grant_amount(want, live, terms=terms, available=available, now_ms=now_ms)
    if amount == 0 or not change_held(db, want.tenant_id, amount):
        return None
    return queries.insert_lease(
        db,
        tenant_id=want.tenant_id,
        node_id=node_id,
        amount=amount,
        granted_at_ms=now_ms,
        expires_at_ms=now_ms + terms.life_ms,
        hold_until_ms=now_ms + terms.hold_ms,
    )


def _expires_in_ms(lease: GrantedLease, terms: Terms, *, now_ms: int) -> int:
    """Return the rest of a lease's life; trust that was lowered since shortens it."""
    return min(lease.expires_at_ms - now_ms, terms.life_ms)


def _end(db: Db, lease_id: int, *, closed: bool, now_ms: int) -> bool:
    lease = queries.find_lease(db, lease_id)
    if lease is None:
        return False
    if not queries.move_lease(db, lease_id, to="closed" if closed else "released", now_ms=now_ms):
        return False
    freed = change_held(db, lease.tenant_id, -lease.remaining)
    assert freed or lease.remaining == 0
    return True

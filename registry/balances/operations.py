"""How an organization's money stands, and its edges: each written once with all that it gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from protocol.balance import BALANCES_MAX, TenantBalance
from protocol.clock import DAY_MS, HOUR_MS, SECOND_MS, hour_of
from protocol.lifecycle import Event as LifeEvent
from protocol.lifecycle import moved
from registry.allocations.fleet import Market, candidates
from registry.allocations.operations import fleet
from registry.allocations.placement import Wish, why_not
from registry.allocations.queries import (
    Allocation,
    find_allocation,
    hourly_of,
    insert_event,
    move_state,
)
from registry.audit.operations import record
from registry.balances import queries
from registry.balances.burn import Burn, burned
from registry.balances.queries import UNSEEN, Row
from registry.balances.states import Kept, Money, State, Step, step
from registry.balances.wording import WORKLOADS_NAMED_MAX, News, edge_letter, reminder_letter
from registry.catalogue.queries import list_skus
from registry.feed.event import Event, Value
from registry.feed.operations import tell
from registry.leases.operations import find_terms
from registry.leases.queries import list_open
from registry.ledger.posture import Posture
from registry.ledger.queries import get_balance
from registry.nodes.operations import bump_generation
from registry.store.database import Db

KEEP_MS = 7 * DAY_MS
"""How long what stopped for want of money may be resumed."""

PAYERS_MAILED_MAX = 20
WINDOW_MS = 2 * HOUR_MS
"""Calls charged in older hours come late, and say nothing about the present pace."""

LOOK_MS = 5 * SECOND_MS
CALM_LOOK_MS = 30 * SECOND_MS
"""How often a balance is looked at: one that is funded, and any other."""

TENANTS_PER_PASS = 200

RESUMED = "Funds were added; it starts again on its node."
RESUMING = frozenset({State.FUNDED, State.LOW, State.CRITICAL})

OnEdge = Callable[[Db, str, State, int], None]
"""(db, tenant_id, state, now_ms): what else follows from an edge, in the same unit."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How money stands now.  kept: the row as the next edge will leave it"""

    kept: Kept
    money: Money

    @property
    def posture(self) -> Posture:
        """Return what pages show of it."""
        return Posture(
            state=self.kept.state.value,
            left_micros=self.money.left_micros,
            burn_micros_per_hour=self.money.burn_micros_per_hour,
            runway_ms=self.money.runway_ms,
        )


def standing(db: Db, tenant_id: str, *, now_ms: int) -> Standing:
    """Return how money stands at this moment, by the same rule as the edge that may follow.

    Calls charged since it was last looked at are not in it yet.
    """
    row = queries.find_row(db, tenant_id) or UNSEEN
    row = replace(row, burn=burned(row.burn, 0, now_ms=now_ms))
    money = _money(db, tenant_id, row)
    return Standing(step(row.kept, money, now_ms=now_ms).after, money)


def follow(
    db: Db, tenant_id: str, *, base_url: str, now_ms: int, on_edge: OnEdge | None = None
) -> State:
    """Bring the row of an organization to how its money stands, and return the state.

    A change gives its mails and its event in the same unit, once: their ids are made of the
    organization and the number of the edge.
    """
    before = queries.find_row(db, tenant_id) or replace(UNSEEN, kept=Kept(since_ms=now_ms))
    aged = _aged(db, tenant_id, before, now_ms=now_ms)
    money = _money(db, tenant_id, aged)
    taken = step(before.kept, money, now_ms=now_ms)
    after = replace(aged, kept=taken.after)
    if after != before:
        queries.put_row(db, tenant_id, after)
    if taken.edge or taken.reminder_ms:
        _tell(db, tenant_id, taken, money, base_url=base_url, before=before.kept, now_ms=now_ms)
    if taken.edge and on_edge is not None:
        on_edge(db, tenant_id, taken.after.state, now_ms)
    return taken.after.state


def follow_due(db: Db, *, base_url: str, now_ms: int, on_edge: OnEdge | None = None) -> int:
    """Follow the balances that are due to be looked at; return of how many the state changed."""
    due = queries.list_due(
        db,
        calm_before_ms=now_ms - CALM_LOOK_MS,
        before_ms=now_ms - LOOK_MS,
        limit=TENANTS_PER_PASS,
    )
    changed = 0
    for tenant_id in due:
        row = queries.find_row(db, tenant_id)
        before = State.FUNDED if row is None else row.kept.state
        changed += before is not follow(
            db, tenant_id, base_url=base_url, now_ms=now_ms, on_edge=on_edge
        )
    return changed


def told_to_node(
    db: Db, node_id: str, hourly: Mapping[str, int], *, base_url: str, now_ms: int
) -> tuple[TenantBalance, ...]:
    """Follow the balances of those who have work on a node or leases for it; return their states.

    hourly  what each organization's work there costs an hour, before any of it is resumed
    """
    held = {lease.tenant_id for lease in list_open(db, node_id)}
    there = sorted(held | set(queries.list_tenants_on(db, node_id)))[:BALANCES_MAX]
    states = {
        one: follow(db, one, base_url=base_url, now_ms=now_ms, on_edge=resume_when_funded)
        for one in there
    }
    return tuple(TenantBalance(one, states[one].value, hourly.get(one, 0)) for one in there)


def resume_when_funded(db: Db, tenant_id: str, state: State, now_ms: int) -> None:
    """Begin again what stopped for want of money, when money came in.

    The cheapest first, and each only while a first hour of it is covered: a small payment brings
    back what it can.  What stopped too long ago, was a task, or has no room on its node any more
    stays stopped.
    """
    if state not in RESUMING:
        return
    for one in queries.list_stopped(db, tenant_id, since_ms=now_ms - KEEP_MS):
        if get_balance(db, tenant_id).available < one.hourly_micros:
            break
        found = find_allocation(db, one.allocation_id)
        if found is not None and _has_room(db, found, now_ms=now_ms):
            _resume(db, found, now_ms=now_ms)


def _has_room(db: Db, found: Allocation, *, now_ms: int) -> bool:
    """Whether a workload may begin again where it was: what its node still has of it, it holds."""
    if found.manifest.kind == "task":
        return False
    if found.cleaned_at_ms is None:
        return True
    sku = next(one for one in list_skus(db) if one.sku_id == found.sku_id)
    wish = Wish(
        model=sku.accelerator_model,
        count=found.accelerator_count,
        image_digest="",
        power_w=sku.power_w * found.accelerator_count // max(sku.accelerator_count, 1),
        simulated=sku.simulated,
    )
    market = Market(demo=sku.simulated, blocking={})
    nodes = candidates(
        fleet(db, found.tenant_id), sku.accelerator_model, market=market, now_ms=now_ms
    )
    return any(node.node_id == found.node_id and why_not(wish, node) is None for node in nodes)


def _resume(db: Db, found: Allocation, *, now_ms: int) -> None:
    after = moved(found.state, LifeEvent.START)
    stood = move_state(
        db, found.allocation_id, before=found.state, after=after, reason="", ended_at_ms=None
    )
    if not stood:
        return
    queries.forget_end(db, found.allocation_id)
    insert_event(db, found.allocation_id, at_ms=now_ms, state=after, fact=RESUMED, actor="registry")
    record(
        db,
        actor="registry",
        action="allocation.resume",
        object_id=found.allocation_id,
        tenant_id=found.tenant_id,
        detail={"name": found.name},
        now_ms=now_ms,
    )
    bump_generation(db, found.node_id)


def _aged(db: Db, tenant_id: str, row: Row, *, now_ms: int) -> Row:
    """Return the row with what calls were charged since it was last looked at in its average."""
    if now_ms - row.burn.at_ms < LOOK_MS:
        return row
    spent = 0
    if row.window_ms:
        spent = max(queries.charged_since(db, tenant_id, row.window_ms) - row.window_micros, 0)
    window_ms = hour_of(now_ms) - WINDOW_MS
    return replace(
        row,
        burn=burned(row.burn, spent, now_ms=now_ms) if row.window_ms else Burn(0, now_ms),
        window_ms=window_ms,
        window_micros=queries.charged_since(db, tenant_id, window_ms),
    )


def _money(db: Db, tenant_id: str, row: Row) -> Money:
    balance = get_balance(db, tenant_id)
    return Money(
        left_micros=balance.total + balance.credit_limit,
        burn_micros_per_hour=hourly_of(db, tenant_id) + row.burn.micros_per_hour,
        held_micros=balance.held,
        kept_micros=balance.frozen,
        suspended=find_terms(db, tenant_id).suspended_at_ms is not None,
        closed=row.kept.state is State.CLOSED,
        resume_micros=queries.find_resume_price(db, tenant_id),
    )


def _tell(
    db: Db,
    tenant_id: str,
    taken: Step,
    money: Money,
    *,
    base_url: str,
    before: Kept,
    now_ms: int,
) -> None:
    kept = taken.after
    # Two reminders of one bound differ by the edge before them.
    name = f"balance-{tenant_id}-{kept.episode}"
    if not taken.edge:
        name += f"-{taken.reminder_ms // HOUR_MS}h"
    news = News(
        organization=queries.get_name(db, tenant_id),
        base_url=base_url,
        kept=kept,
        money=money,
        running=tuple(queries.list_running(db, tenant_id, limit=WORKLOADS_NAMED_MAX)),
        keep_ms=KEEP_MS,
        now_ms=now_ms,
    )
    facts: dict[str, Value] = {
        "state": kept.state.value,
        "before": before.state.value,
        "left_micros": money.left_micros,
        "hourly_micros": money.burn_micros_per_hour,
        "runway_ms": money.runway_ms,
    }
    kind = "balance.state_changed" if taken.edge else "balance.reminder"
    told = tell(db, Event(name, tenant_id, kind, tenant_id, facts, now_ms))
    assert told
    for number, to in enumerate(queries.list_payers(db, tenant_id, limit=PAYERS_MAILED_MAX)):
        letter = (
            edge_letter(to, news)
            if taken.edge
            else reminder_letter(to, news, runway_ms=taken.reminder_ms)
        )
        queries.insert_letter(db, f"{name}-{number}", letter, now_ms=now_ms)

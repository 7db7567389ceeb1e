"""How an organization's money stands, and its edges: each written once with all that it gives."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from protocol.clock import DAY_MS, HOUR_MS, SECOND_MS, hour_of
from registry.allocations.queries import hourly_of
from registry.balances import queries
from registry.balances.burn import Burn, burned
from registry.balances.queries import UNSEEN, Row
from registry.balances.states import Kept, Money, State, Step, step
from registry.balances.wording import WORKLOADS_NAMED_MAX, News, edge_letter, reminder_letter
from registry.feed.event import Event, Value
from registry.feed.operations import tell
from registry.leases.operations import find_terms
from registry.ledger.posture import Posture
from registry.ledger.queries import get_balance
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

OnEdge = Callable[[Db, str, State], None]
"""(db, tenant_id, state): what else follows from an edge, in the same unit."""


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
        on_edge(db, tenant_id, taken.after.state)
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

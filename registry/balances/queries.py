"""SQL of the balance states."""

from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select

from protocol.lifecycle import FINAL
from protocol.lifecycle import State as AllocationState
from protocol.usage import AMOUNT_METERS, METERS, TIME_METERS
from registry.accounts.letters import Letter
from registry.balances.burn import Burn
from registry.balances.states import Kept, State
from registry.ledger.account_names import wallet
from registry.store.database import Db
from registry.store.tables.accounts import person
from registry.store.tables.allocations import allocation, allocation_event
from registry.store.tables.balances import balance_letter, balance_state
from registry.store.tables.ledger import account
from registry.store.tables.tenants import member_role, tenant
from registry.store.tables.usage import usage_hour

PAYER_ROLES = ("owner", "billing")
PAYERS_NAMED_MAX = 2
STOPPED_MAX = 100
CALL_METERS = sorted(METERS - TIME_METERS - AMOUNT_METERS)


@dataclass(frozen=True, slots=True)
class Row:
    """What is kept of an organization's balance.

    window_ms, window_micros  calls charged in the hours from there on, when last looked at
    """

    kept: Kept
    burn: Burn
    window_ms: int = 0
    window_micros: int = 0


UNSEEN = Row(Kept(), Burn())
"""Of an organization that nobody has looked at yet."""


@dataclass(frozen=True, slots=True)
class WaitingLetter:
    """A mail that is due."""

    letter_id: str
    letter: Letter
    tries: int


def find_row(db: Db, tenant_id: str) -> Row | None:
    """Return what is kept of an organization's balance; None before it was first looked at."""
    row = db.row(select(balance_state).where(balance_state.c.tenant_id == tenant_id))
    if row is None:
        return None
    return Row(
        kept=Kept(State(row.state), row.since_ms, row.episode, row.reminded_ms),
        burn=Burn(row.burn_micros_per_hour, row.burn_at_ms),
        window_ms=row.window_ms,
        window_micros=row.window_micros,
    )


def put_row(db: Db, tenant_id: str, row: Row) -> None:
    """Keep how an organization's balance stands."""
    db.upsert(
        balance_state,
        ("tenant_id",),
        {
            "tenant_id": tenant_id,
            "state": row.kept.state.value,
            "since_ms": row.kept.since_ms,
            "episode": row.kept.episode,
            "reminded_ms": row.kept.reminded_ms,
            "burn_micros_per_hour": row.burn.micros_per_hour,
            "burn_at_ms": row.burn.at_ms,
            "window_ms": row.window_ms,
            "window_micros": row.window_micros,
        },
    )


def list_due(db: Db, *, calm_before_ms: int, before_ms: int, limit: int) -> list[str]:
    """Return organizations that ever had money and were last looked at before a moment, the
    longest ago first: an earlier one for those that are funded."""
    seen_ms = balance_state.c.burn_at_ms
    calm = balance_state.c.state == State.FUNDED.value
    due = or_(
        seen_ms.is_(None),
        and_(calm, seen_ms <= calm_before_ms),
        and_(~calm, seen_ms <= before_ms),
    )
    rows = db.rows(
        select(tenant.c.tenant_id)
        .join(account, account.c.name == wallet("") + tenant.c.tenant_id)
        .outerjoin(balance_state, balance_state.c.tenant_id == tenant.c.tenant_id)
        .where(due)
        .order_by(func.coalesce(seen_ms, 0), tenant.c.tenant_id)
        .limit(limit)
    )
    return [row.tenant_id for row in rows]


def charged_since(db: Db, tenant_id: str, from_ms: int) -> int:
    """Return what calls of an organization in the hours from `from_ms` on were charged."""
    charged = func.coalesce(func.sum(usage_hour.c.charged), 0)
    return int(
        db.value(
            select(charged).where(
                usage_hour.c.tenant_id == tenant_id,
                usage_hour.c.hour_ms >= from_ms,
                usage_hour.c.meter.in_(CALL_METERS),
            )
        )
    )


def find_resume_price(db: Db, tenant_id: str) -> int | None:
    """Return what the cheapest workload that stopped for want of money costs an hour, or None."""
    out = AllocationState.INSUFFICIENT_BALANCE.value
    found = db.value(
        select(func.min(allocation.c.hourly_micros)).where(
            allocation.c.tenant_id == tenant_id, allocation.c.state == out
        )
    )
    return None if found is None else int(found)


@dataclass(frozen=True, slots=True)
class Stopped:
    """A workload that stopped for want of money."""

    allocation_id: str
    hourly_micros: int


def list_stopped(db: Db, tenant_id: str, *, since_ms: int) -> list[Stopped]:
    """Return what stopped for want of money since a moment, the cheapest first."""
    out = AllocationState.INSUFFICIENT_BALANCE.value
    stopped_ms = (
        select(func.max(allocation_event.c.at_ms))
        .where(
            allocation_event.c.allocation_id == allocation.c.allocation_id,
            allocation_event.c.state == out,
        )
        .scalar_subquery()
    )
    rows = db.rows(
        select(allocation.c.allocation_id, allocation.c.hourly_micros)
        .where(
            allocation.c.tenant_id == tenant_id,
            allocation.c.state == out,
            stopped_ms >= since_ms,
        )
        .order_by(allocation.c.hourly_micros, allocation.c.allocation_id)
        .limit(STOPPED_MAX)
    )
    return [Stopped(row.allocation_id, row.hourly_micros) for row in rows]


def forget_end(db: Db, allocation_id: str) -> None:
    """Let a workload that begins again be one that its node has, and that is not ready yet."""
    db.write(
        allocation.update()
        .where(allocation.c.allocation_id == allocation_id)
        .values(cleaned_at_ms=None, ready_at_ms=None)
    )


def list_tenants_on(db: Db, node_id: str) -> list[str]:
    """Return whose workloads a node has, or had until money ran out."""
    there = sorted(state.value for state in set(AllocationState) - FINAL)
    rows = db.rows(
        select(allocation.c.tenant_id)
        .where(allocation.c.node_id == node_id, allocation.c.state.in_(there))
        .distinct()
    )
    return [row.tenant_id for row in rows]


def list_running(db: Db, tenant_id: str, *, limit: int) -> list[str]:
    """Return the names of workloads that are charged for, the youngest first: it stops first."""
    rows = db.rows(
        select(allocation.c.name)
        .where(
            allocation.c.tenant_id == tenant_id,
            allocation.c.state == AllocationState.ACTIVE.value,
        )
        .order_by(allocation.c.created_at_ms.desc())
        .limit(limit)
    )
    return [row.name for row in rows]


def list_payers(db: Db, tenant_id: str, *, limit: int = PAYERS_NAMED_MAX) -> list[str]:
    """Return the addresses of people who may add funds, those who may longest first."""
    rows = db.rows(
        select(person.c.email)
        .join(member_role, member_role.c.person_id == person.c.person_id)
        .where(member_role.c.tenant_id == tenant_id, member_role.c.role.in_(PAYER_ROLES))
        .group_by(person.c.email)
        .order_by(func.min(member_role.c.since_ms))
        .limit(limit)
    )
    return [row.email for row in rows]


def get_name(db: Db, tenant_id: str) -> str:
    """Return an organization's name."""
    return str(db.value(select(tenant.c.name).where(tenant.c.tenant_id == tenant_id)))


def insert_letter(db: Db, letter_id: str, letter: Letter, *, now_ms: int) -> bool:
    """Put a mail among those that wait; False, and nothing done, if it is there already."""
    return db.insert_new(
        balance_letter,
        {
            "letter_id": letter_id,
            "recipient": letter.to,
            "subject": letter.subject,
            "words": letter.text,
            "made_at_ms": now_ms,
            "tries": 0,
            "next_at_ms": now_ms,
            "sent_at_ms": None,
        },
    )


def list_waiting_letters(db: Db, *, now_ms: int, limit: int) -> list[WaitingLetter]:
    """Return the mails that are due, the oldest first."""
    rows = db.rows(
        select(balance_letter)
        .where(balance_letter.c.next_at_ms <= now_ms)
        .order_by(balance_letter.c.next_at_ms, balance_letter.c.letter_id)
        .limit(limit)
    )
    return [
        WaitingLetter(row.letter_id, Letter(row.recipient, row.subject, row.words), row.tries)
        for row in rows
    ]


def change_letter(
    db: Db, letter_id: str, *, tries: int, next_at_ms: int | None, sent_at_ms: int | None
) -> None:
    """Write down what became of a mail; next_at_ms: None when it is not tried again."""
    db.write(
        balance_letter.update()
        .where(balance_letter.c.letter_id == letter_id)
        .values(tries=tries, next_at_ms=next_at_ms, sent_at_ms=sent_at_ms)
    )

"""What the shell of every page asks about money; `app.py` hands these to it."""

from protocol.clock import DAY_MS, HOUR_MS
from registry.allocations.queries import list_unsettled
from registry.allocations.seen import SeenAllocation
from registry.balances.operations import KEEP_MS, standing
from registry.balances.queries import list_payers
from registry.ledger.queries import get_balance, list_lines
from registry.notices.banners import Account, Payment, money_banners, untold_payment
from registry.notices.queries import get_stopped
from registry.payments.checkout import State as PaymentState
from registry.payments.queries import list_recent
from registry.settlement.panels import refusal_words
from registry.store.database import Db
from registry.tenants.roles import Actor, may
from web.view_models.shell import Balance, Banner

LONG_SILENT_MS = HOUR_MS
"""From here on, usage that waits for a silent node has a banner."""

UNSETTLED_MAX = 200
PAYMENT_TOLD_MS = DAY_MS
"""How long a payment that was refused has a banner."""

PAYMENTS_MAX = 5


def balance_chip(db: Db, actor: Actor, now_ms: int) -> Balance | None:
    """Return the chip in the top bar, for those who may see the balance."""
    if actor.tenant_id is None or not may(actor, "billing.view", tenant_id=actor.tenant_id):
        return None
    balance = get_balance(db, actor.tenant_id)
    stands = standing(db, actor.tenant_id, now_ms=now_ms).posture
    return Balance(balance.total, stands.state)


def balance_state(db: Db, actor: Actor, now_ms: int) -> str:
    """Return the state of the balance that a program's answers carry; nothing without one."""
    if actor.tenant_id is None:
        return ""
    return standing(db, actor.tenant_id, now_ms=now_ms).posture.state


def banner_slot(db: Db, actor: Actor, now_ms: int) -> tuple[Banner, ...]:
    """Return the banner about money that is due now, for those who may see the balance."""
    tenant_id = actor.tenant_id
    if tenant_id is None or not may(actor, "billing.view", tenant_id=tenant_id):
        return ()
    unsettled = list_unsettled(db, tenant_id, limit=UNSETTLED_MAX)
    silent = [one for one in unsettled if _is_long_silent(one, now_ms)]
    stopped = get_stopped(db, tenant_id)
    can_pay = may(actor, "billing.top_up", tenant_id=tenant_id)
    stands = standing(db, tenant_id, now_ms=now_ms)
    account = Account(
        posture=stands.posture,
        funded=stands.kept.state != "depleted" or bool(list_lines(db, tenant_id, limit=1)),
        kept_micros=stands.money.kept_micros,
        suspended=stands.money.suspended,
        payment=_payment(db, tenant_id, now_ms),
        resume_micros=stands.money.resume_micros,
        keep_ms=KEEP_MS,
        running=tuple(one.name for one in unsettled if one.is_charging),
        stopped=stopped.count,
        stopped_at_ms=stopped.last_at_ms,
        can_pay=can_pay,
        payers=() if can_pay else tuple(list_payers(db, tenant_id)),
        held_micros=sum(one.held_micros(now_ms) for one in silent),
        silent_nodes=tuple(sorted({one.node_name for one in silent})),
    )
    return money_banners(account, now_ms=now_ms)


def _payment(db: Db, tenant_id: str, now_ms: int) -> Payment | None:
    since_ms = now_ms - PAYMENT_TOLD_MS
    newest = untold_payment(list_recent(db, tenant_id, since_ms=since_ms, limit=PAYMENTS_MAX))
    if newest is None:
        return None
    if newest.state is PaymentState.PENDING:
        return Payment(newest.micros)
    return Payment(newest.micros, refused=refusal_words(newest.decline))


def _is_long_silent(seen: SeenAllocation, now_ms: int) -> bool:
    since = seen.silent_since_ms(now_ms)
    return since is not None and now_ms - since > LONG_SILENT_MS

"""What the shell of every page asks about money; `app.py` hands these to it."""

from protocol.clock import HOUR_MS
from registry.allocations.queries import hourly_of, list_unsettled
from registry.allocations.seen import SeenAllocation
from registry.ledger.posture import posture
from registry.ledger.queries import get_balance, list_lines
from registry.notices.banners import Account, money_banners
from registry.notices.queries import get_stopped, list_payers
from registry.store.database import Db
from registry.tenants.roles import Actor, may
from web.view_models.shell import Balance, Banner

LONG_SILENT_MS = HOUR_MS
"""From here on, usage that waits for a silent node has a banner."""

UNSETTLED_MAX = 200


def balance_chip(db: Db, actor: Actor) -> Balance | None:
    """Return the chip in the top bar, for those who may see the balance."""
    if actor.tenant_id is None or not may(actor, "billing.view", tenant_id=actor.tenant_id):
        return None
    balance = get_balance(db, actor.tenant_id)
    stands = posture(balance.total + balance.credit_limit, hourly_of(db, actor.tenant_id))
    return Balance(balance.total, stands.state)


def banner_slot(db: Db, actor: Actor, now_ms: int) -> tuple[Banner, ...]:
    """Return the banner about money that is due now, for those who may see the balance."""
    tenant_id = actor.tenant_id
    if tenant_id is None or not may(actor, "billing.view", tenant_id=tenant_id):
        return ()
    balance = get_balance(db, tenant_id)
    unsettled = list_unsettled(db, tenant_id, limit=UNSETTLED_MAX)
    silent = [one for one in unsettled if _is_long_silent(one, now_ms)]
    stopped = get_stopped(db, tenant_id)
    can_pay = may(actor, "billing.top_up", tenant_id=tenant_id)
    stands = posture(balance.total + balance.credit_limit, hourly_of(db, tenant_id))
    account = Account(
        posture=stands,
        funded=stands.state != "depleted" or bool(list_lines(db, tenant_id, limit=1)),
        running=tuple(one.name for one in unsettled if one.is_charging),
        stopped=stopped.count,
        stopped_at_ms=stopped.last_at_ms,
        can_pay=can_pay,
        payers=() if can_pay else tuple(list_payers(db, tenant_id)),
        held_micros=sum(one.held_micros(now_ms) for one in silent),
        silent_nodes=tuple(sorted({one.node_name for one in silent})),
    )
    return money_banners(account, now_ms=now_ms)


def _is_long_silent(seen: SeenAllocation, now_ms: int) -> bool:
    since = seen.silent_since_ms(now_ms)
    return since is not None and now_ms - since > LONG_SILENT_MS

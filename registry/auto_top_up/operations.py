"""The rule of automatic top-ups: set, followed and stopped, each in one unit."""

from protocol.clock import DAY_MS
from protocol.ids import NewId
from protocol.money import show_amount
from protocol.refusal import Refusal
from registry.audit.operations import record
from registry.auto_top_up.rule import (
    PER_DAY_MAX,
    THRESHOLD_MICROS_MAX,
    THRESHOLD_MICROS_MIN,
    Step,
    step,
)
from registry.ledger.queries import get_balance
from registry.payments import queries
from registry.payments.checkout import State, TopUp
from registry.payments.operations import AUTO, check_amount
from registry.payments.queries import Payer
from registry.store.database import Db
from registry.tenants.roles import Actor

RECENT_MAX = 4 * PER_DAY_MAX


def switch_on(
    db: Db,
    *,
    threshold: int,
    micros: int,
    receipt_email: str,
    actor: Actor,
    now_ms: int,
) -> None:
    """Charge the kept card with `micros` whenever the balance is below the threshold.

    Refuses without a kept card, and amounts out of bounds.
    """
    tenant_id = actor.tenant_id
    assert tenant_id is not None
    payer = queries.find_payer(db, tenant_id)
    if payer is None or payer.card is None:
        raise Refusal(
            code="no_card",
            status=409,
            message="No card is kept that could be charged.",
            hint="Add funds once by card and choose “Keep the card”.",
        )
    check_amount(micros)
    if not THRESHOLD_MICROS_MIN <= threshold <= THRESHOLD_MICROS_MAX:
        least, most = show_amount(THRESHOLD_MICROS_MIN), show_amount(THRESHOLD_MICROS_MAX)
        raise Refusal(
            code="amount_out_of_range",
            status=422,
            message=f"threshold: from {least} to {most}.",
            hint="Correct the threshold.",
            field="threshold",
        )
    queries.change_payer(
        db,
        tenant_id,
        auto_on=1,
        threshold_micros=threshold,
        amount_micros=micros,
        receipt_email=receipt_email,
        since_ms=now_ms,
        stopped_at_ms=None,
        stopped_why="",
    )
    detail: dict[str, str | int] = {"threshold": threshold, "micros": micros}
    _note(db, actor, "billing.auto_top_up_on", tenant_id, detail, now_ms=now_ms)


def switch_off(db: Db, *, actor: Actor, now_ms: int) -> None:
    """Charge the kept card no more by itself."""
    tenant_id = actor.tenant_id
    assert tenant_id is not None
    if queries.change_payer(db, tenant_id, auto_on=0, stopped_at_ms=None, stopped_why=""):
        _note(db, actor, "billing.auto_top_up_off", tenant_id, {}, now_ms=now_ms)


def forget_card(db: Db, *, actor: Actor, now_ms: int) -> str:
    """Keep no card any more; return the processor's name of the one that was kept, or nothing."""
    tenant_id = actor.tenant_id
    assert tenant_id is not None
    payer = queries.find_payer(db, tenant_id)
    if payer is None or payer.card is None:
        return ""
    switch_off(db, actor=actor, now_ms=now_ms)
    queries.change_card(db, tenant_id, None)
    _note(db, actor, "billing.card_forgotten", tenant_id, {}, now_ms=now_ms)
    return payer.card.method_id


def follow(db: Db, payer: Payer, *, now_ms: int, new_id: NewId) -> TopUp | None:
    """Return the payment that is due by the rule, begun just now; or stop the rule, or nothing.

    Of two that do this at once one begins it: the database holds one in flight per organization.
    """
    if not payer.auto_on or payer.card is None:
        return None
    recent = [
        one
        for one in queries.list_recent(
            db, payer.tenant_id, since_ms=now_ms - DAY_MS, limit=RECENT_MAX
        )
        if one.kind == AUTO
    ]
    due, why = step(
        recent,
        balance=get_balance(db, payer.tenant_id).total,
        threshold=payer.threshold_micros,
        since_ms=payer.since_ms,
        now_ms=now_ms,
    )
    if due is Step.STOP:
        queries.change_payer(db, payer.tenant_id, auto_on=0, stopped_at_ms=now_ms, stopped_why=why)
        _note(db, "registry", "billing.auto_top_up_stopped", payer.tenant_id, {}, now_ms=now_ms)
    if due is not Step.CHARGE:
        return None
    top_up_id = new_id("top_up")
    made = TopUp(
        top_up_id=top_up_id,
        tenant_id=payer.tenant_id,
        kind=AUTO,
        nonce=top_up_id,
        micros=payer.amount_micros,
        state=State.CREATED,
        asked_by="registry",
        receipt_email=payer.receipt_email,
        return_to="/billing",
        keep_card=False,
        created_at_ms=now_ms,
        checked_at_ms=now_ms,
        method_id=payer.card.method_id,
    )
    return made if queries.insert_top_up(db, made) else None


def _note(
    db: Db,
    actor: Actor | str,
    action: str,
    tenant_id: str,
    detail: dict[str, str | int],
    *,
    now_ms: int,
) -> None:
    record(
        db,
        actor=actor,
        action=action,
        object_id=tenant_id,
        tenant_id=tenant_id,
        detail=detail,
        now_ms=now_ms,
    )

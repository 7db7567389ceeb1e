"""Grant, expire, mature, set right, write off: each is one journal that says where it comes from.

What an operator does is checked, kept as an adjustment and audited in the same unit.
"""

from collections.abc import Mapping

from protocol.money import show_amount
from protocol.refusal import Refusal
from registry.adjustments import queries
from registry.adjustments.grants import expiring, read_grant_name
from registry.adjustments.shares import clawback_src, matures_through, maturity_src
from registry.adjustments.terms import check_basis_points, read_jurisdiction
from registry.audit.operations import record
from registry.ledger import account_names
from registry.ledger.adjustments import (
    RIGHT_ENTRY,
    Adjustment,
    amounts_text,
    income_of,
    share_of,
)
from registry.ledger.audit import Problem
from registry.ledger.founded import Founding
from registry.ledger.operations import adjust, check_amount, post, taxed
from registry.ledger.postings import Journal, promo_expiry
from registry.ledger.postings import site_share as share_within
from registry.ledger.queries import (
    change_credit_limit,
    change_expiry,
    find_journal,
    get_account,
    get_balance,
    list_journals,
)
from registry.ledger.site_postings import clawback, maturity
from registry.store.database import Db
from registry.tenants.roles import Actor, require

EXPIRED_MAX = 500
"""Grants that one pass lets expire."""

REVERSIBLE = frozenset(
    {"bank_payment", "demo_payment", "bank_refund", "promo", RIGHT_ENTRY, "write_off"}
)
"""Instructions that can be undone, besides usage; what a payment provider did, it must undo."""


def grant_promo(
    db: Db,
    tenant_id: str,
    *,
    grant: str,
    micros: int,
    expires_at_ms: int | None,
    memo: str,
    actor: Actor,
    now_ms: int,
) -> int | None:
    """Give a tenant a promotional grant; None if a grant of that name was given before."""
    require(actor, "ledger.adjust")
    check_amount(micros)
    if expires_at_ms is not None and expires_at_ms <= now_ms:
        raise Refusal(
            code="expiry_past",
            status=422,
            message="expires: lies in the past.",
            hint="Name a moment to come, or none for a grant that stays.",
            field="expires",
        )
    made = Adjustment(
        src=f"promo:{tenant_id}:{read_grant_name(grant)}",
        kind="promo",
        at_ms=now_ms,
        tenant_id=tenant_id,
        micros=micros,
        grant=grant,
        expires_at_ms=expires_at_ms,
        memo=memo,
        made_by=actor.subject,
    )
    journal_id = _adjusted(db, made, actor=actor)
    if journal_id is not None and expires_at_ms is not None:
        change_expiry(db, account_names.promo(tenant_id, grant), expires_at_ms)
    return journal_id


def expire_grants(db: Db, *, now_ms: int) -> int:
    """Let grants that are over expire, as far as no lease was promised them; return how many."""
    count = 0
    for found in queries.list_expired(db, now_ms=now_ms, limit=EXPIRED_MAX):
        balance = get_balance(db, found.tenant_id)
        micros = expiring(found.left, total=balance.total, held=balance.held)
        if micros:
            journal = promo_expiry(
                src=f"expiry:{found.tenant_id}:{found.grant}:{now_ms}",
                tenant_id=found.tenant_id,
                grant=found.grant,
                micros=micros,
                at_ms=now_ms,
                memo=f"Grant {found.grant} expired",
            )
            count += post(db, journal) is not None
    return count


def mature_shares(db: Db, *, now_ms: int) -> int:
    """Let what sites earned mature, once its dispute window is over; return of how many sites."""
    matured_ms = queries.matured_through(db)
    first_ms = queries.first_share_ms(db, from_ms=matured_ms)
    through_ms = None if first_ms is None else matures_through(now_ms, first_ms=first_ms)
    if through_ms is None:
        return 0
    shares = queries.shares_between(db, from_ms=matured_ms, through_ms=through_ms)
    queries.insert_maturity(db, through_ms=through_ms, now_ms=now_ms)
    for site_id, micros in shares.items():
        journal = maturity(
            src=maturity_src(site_id, from_ms=matured_ms, through_ms=through_ms),
            site_id=site_id,
            micros=micros,
            owed=get_account(db, account_names.site_receivable(site_id)),
            at_ms=now_ms,
            memo="Share matured",
        )
        posted = post(db, journal)
        assert posted is not None
    return len(shares)


def take_back_share(db: Db, site_id: str, micros: int, *, cause: str, now_ms: int) -> None:
    """Give the hold back what a correction drew on it for a share that may have left it.

    It comes from what the site may be paid; what is missing there, the site owes.
    """
    journal = clawback(
        src=clawback_src(cause),
        site_id=site_id,
        micros=micros,
        payable=-get_account(db, account_names.site(site_id)),
        at_ms=now_ms,
        memo="Share of a charge that was undone",
        into=account_names.site_hold(site_id),
        ref=cause,
    )
    posted = post(db, journal)
    assert posted is not None


def reverse(db: Db, src: str, *, memo: str, actor: Actor, now_ms: int) -> int | None:
    """Undo a journal exactly, a site's share of it too; None if it was undone before.

    A share that has matured is taken back from what the site may be paid, or is owed by it.
    Refuses what is not an operator's to undo, and a grant that has been spent in part.
    """
    require(actor, "ledger.adjust")
    original = find_journal(db, src)
    if original is None:
        raise _no_journal(src)
    if original.kind != "usage" and queries.find_kind(db, src) not in REVERSIBLE:
        raise Refusal(
            code="not_reversible",
            status=409,
            message=f"{src}: a journal of kind {original.kind} is not undone by hand.",
            hint="Usage, bank payments, grants, write-offs and right entries can be undone.",
        )
    made = Adjustment(
        src=f"undo:{src}", kind="correction", at_ms=now_ms, ref=src, memo=memo,
        tenant_id=_tenant_of(original), made_by=actor.subject,
    )  # fmt: skip
    journal_id = _adjusted(db, made, actor=actor, original=original)
    if journal_id is not None:
        site_id, micros = share_of(original)
        if micros > 0 and original.at_ms < queries.matured_through(db):
            take_back_share(db, site_id, micros, cause=made.src, now_ms=now_ms)
        for account, _ in original.postings:
            if account_names.is_below_zero(account, get_account(db, account)):
                raise Refusal(
                    code="spent_already",
                    status=409,
                    message=f"{src}: what it gave has been spent.",
                    hint="Undo what was spent of it first, or leave it.",
                )
    return journal_id


def set_right(
    db: Db,
    src: str,
    amounts: Mapping[str, int],
    *,
    share_basis_points: int,
    memo: str,
    actor: Actor,
    now_ms: int,
) -> int | None:
    """Undo a usage journal and post what it should have charged; None if it was undone before.

    amounts             micros by class of usage, none beyond what was charged
    share_basis_points  what the site earns of it
    """
    undone = reverse(db, src, memo=memo, actor=actor, now_ms=now_ms)
    if undone is None:
        return None
    original = find_journal(db, src)
    assert original is not None
    micros = _lowered(original, amounts)
    if micros == 0:
        return undone
    site_id, shared = share_of(original)
    share = share_within(share_basis_points, before=0, after=micros)
    made = Adjustment(
        src=f"right:{src}", kind=RIGHT_ENTRY, at_ms=now_ms, ref=src, memo=memo,
        tenant_id=_tenant_of(original), site_id=site_id, micros=micros,
        share=min(share, shared), amounts=amounts_text(amounts), made_by=actor.subject,
    )  # fmt: skip
    return _adjusted(db, made, actor=actor)


def write_off(
    db: Db, tenant_id: str, micros: int, *, memo: str, actor: Actor, now_ms: int, key: str
) -> int | None:
    """Give up what a tenant owes; `key` says which time this is, so that it is done once."""
    require(actor, "ledger.adjust")
    check_amount(micros)
    src = f"write_off:{tenant_id}:{key}"
    if find_journal(db, src) is not None:
        return None
    owed = get_balance(db, tenant_id).owed
    if micros > owed:
        raise Refusal(
            code="amount_out_of_range",
            status=422,
            message=f"amount: {show_amount(owed)} is owed.",
            hint="Write off at most what is owed.",
            field="amount",
        )
    made = Adjustment(
        src=src, kind="write_off", at_ms=now_ms, tenant_id=tenant_id, micros=micros, memo=memo,
        made_by=actor.subject,
    )  # fmt: skip
    return _adjusted(db, made, actor=actor)


def refund_by_bank(
    db: Db, tenant_id: str, micros: int, *, reference: str, actor: Actor, now_ms: int
) -> int | None:
    """Note money that was paid back by bank; None if it was noted before.

    Refuses more than the wallet holds free of leases, with the tax in it.
    """
    require(actor, "ledger.adjust")
    check_amount(micros)
    src = f"bank_refund:{reference}"
    balance = get_balance(db, tenant_id)
    tax = taxed(db, tenant_id, micros)
    free = min(balance.wallet, balance.total - balance.held)
    if micros - tax.micros > max(free, 0) and find_journal(db, src) is None:
        raise Refusal(
            code="balance_too_low",
            status=409,
            message=f"amount: {show_amount(max(free, 0))} of the wallet is free.",
            hint="Wait until leases have ended, or pay back less.",
            field="amount",
        )
    made = Adjustment(
        src=src, kind="bank_refund", at_ms=now_ms, tenant_id=tenant_id, micros=micros, tax=tax,
        memo=f"Paid back, {reference}", made_by=actor.subject,
    )  # fmt: skip
    return _adjusted(db, made, actor=actor)


def claw_back(
    db: Db, site_id: str, micros: int, *, memo: str, key: str, actor: Actor, now_ms: int
) -> int | None:
    """Take a matured share back that a site did not earn; what it has not, it owes."""
    require(actor, "ledger.adjust")
    check_amount(micros)
    made = Adjustment(
        src=f"clawback:{site_id}:{key}", kind="clawback", at_ms=now_ms, site_id=site_id,
        micros=micros, memo=memo, made_by=actor.subject,
    )  # fmt: skip
    return _adjusted(db, made, actor=actor)


def set_credit(db: Db, tenant_id: str, micros: int, *, actor: Actor, now_ms: int) -> None:
    """Let a tenant owe up to this much; below what it owes or was promised, nothing new is."""
    require(actor, "ledger.adjust")
    if micros:
        check_amount(micros)
    before = get_balance(db, tenant_id).credit_limit
    change_credit_limit(db, tenant_id, micros)
    record(
        db,
        actor=actor,
        action="ledger.credit_limit",
        object_id=tenant_id,
        tenant_id=tenant_id,
        detail={"micros": micros, "before": before},
        now_ms=now_ms,
    )


def set_tax(
    db: Db, tenant_id: str, *, jurisdiction: str, basis_points: int, actor: Actor, now_ms: int
) -> None:
    """Keep this tax apart of what a tenant pays from now on; a rate of 0 ends it."""
    require(actor, "ledger.adjust")
    check_basis_points(basis_points)
    queries.change_tax_rate(
        db,
        tenant_id,
        jurisdiction=read_jurisdiction(jurisdiction),
        basis_points=basis_points,
        now_ms=now_ms,
    )
    record(
        db,
        actor=actor,
        action="ledger.tax_rate",
        object_id=tenant_id,
        tenant_id=tenant_id,
        detail={"jurisdiction": jurisdiction, "basis_points": basis_points},
        now_ms=now_ms,
    )


def verify_founded(db: Db, expected: Mapping[str, Journal]) -> tuple[Problem, ...]:
    """Name every journal that follows from nothing, from something else, or is missing.

    expected  by business key: the journals that payments and payouts come to
    """
    made = {one.src: one for one in queries.list_adjustments(db)}
    founding = Founding(made, queries.list_maturities(db), expected)
    for _, journal in list_journals(db):
        founding.add(journal)
    return tuple(founding.problems())


def _adjusted(
    db: Db, made: Adjustment, *, actor: Actor, original: Journal | None = None
) -> int | None:
    journal_id = adjust(db, made, original=original)
    if journal_id is not None:
        record(
            db,
            actor=actor,
            action=f"ledger.{made.kind}",
            object_id=made.src,
            tenant_id=made.tenant_id or None,
            detail={"micros": made.micros, "memo": made.memo, "journal": journal_id},
            now_ms=made.at_ms,
        )
    return journal_id


def _lowered(original: Journal, amounts: Mapping[str, int]) -> int:
    """Return the whole of what a charge is set right to; refuse what it was not before."""
    booked = income_of(original)
    for name, micros in amounts.items():
        if not 0 <= micros <= booked.get(name, 0):
            raise Refusal(
                code="amount_out_of_range",
                status=422,
                message=f"{name}: at most {show_amount(booked.get(name, 0))}, as was booked.",
                hint="A charge is set right downwards alone; usage that is missing is new usage.",
                field=name,
            )
    paid = sum(leg for account, leg in original.postings if account_names.is_spendable(account))
    if sum(amounts.values()) > paid:
        raise Refusal(
            code="amount_out_of_range",
            status=422,
            message=f"amount: at most {show_amount(paid)}, as the tenant was charged.",
            hint="What no lease covered stays ours.",
            field="amount",
        )
    return sum(amounts.values())


def _tenant_of(journal: Journal) -> str:
    """Return the tenant whose money a journal moved."""
    found = {account_names.tenant_of(account) for account, _ in journal.postings} - {None}
    return next(iter(found), None) or ""


def _no_journal(src: str) -> Refusal:
    return Refusal(
        code="journal_unknown",
        status=404,
        message=f"{src}: no journal has this key.",
        hint="Take the key from the ledger's page or its JSON.",
    )

"""Money moves here and nowhere else."""

from protocol.money import MICROS_PER_UNIT, show_amount
from protocol.refusal import Refusal
from registry.ledger import queries
from registry.ledger.account_names import BANK, receivable, site, wallet
from registry.ledger.adjustments import Adjustment, Stand, adjustment_journal
from registry.ledger.audit import BooksReport, checked_books
from registry.ledger.postings import (
    NO_TAX,
    Journal,
    Tax,
    netting,
    off_balance,
    tax_within,
    top_up,
)
from registry.store.database import Db
from registry.tenants.roles import CONSOLE

TOP_UP_MICROS_MAX = 1_000_000_000 * MICROS_PER_UNIT
"""More in one payment is a slip of the hand; a sum of several still stays exact in any JSON."""

DEMO = "demo:"
"""How the business key of a payment begins that moved no money."""


def post(db: Db, journal: Journal) -> int | None:
    """Post a journal and return its id; None, and nothing done, if its key was posted before."""
    assert journal.postings
    assert off_balance(journal.postings) == 0
    journal_id = queries.insert_journal(db, journal)
    if journal_id is not None:
        queries.insert_postings(db, journal_id, journal.postings)
    return journal_id


def net(db: Db, tenant_id: str, *, cause: str, now_ms: int) -> int | None:
    """Pay what a tenant owes from its wallet; None where it has not both.

    cause  the journal after which this is due
    """
    journal = netting(
        src=f"netting:{cause}",
        tenant_id=tenant_id,
        wallet=-queries.get_account(db, wallet(tenant_id)),
        owed=queries.get_account(db, receivable(tenant_id)),
        at_ms=now_ms,
        ref=cause,
    )
    return None if journal is None else post(db, journal)


def adjust(db: Db, made: Adjustment, *, original: Journal | None = None) -> int | None:
    """Post what an operator says and keep the instruction; None if it was posted before.

    original  for a correction: what it turns
    """
    stand = Stand(
        purse=queries.get_purse(db, made.tenant_id),
        owed=queries.get_account(db, receivable(made.tenant_id)),
        payable=-queries.get_account(db, site(made.site_id)),
    )
    journal_id = post(db, adjustment_journal(made, stand, original))
    if journal_id is not None:
        kept = queries.insert_adjustment(db, made)
        assert kept
        if made.tenant_id:
            net(db, made.tenant_id, cause=made.src, now_ms=made.at_ms)
    return journal_id


def taxed(db: Db, tenant_id: str, micros: int) -> Tax:
    """Return the tax that is in a payment of a tenant."""
    rate = queries.find_tax_rate(db, tenant_id)
    if rate is None:
        return NO_TAX
    within = tax_within(micros, rate.basis_points)
    return Tax(rate.jurisdiction, within) if within else NO_TAX


def credit_payment(
    db: Db, tenant_id: str, *, src: str, micros: int, into: str, memo: str, ref: str, now_ms: int
) -> int | None:
    """Credit a payment that a provider says it received; None if it was credited before.

    The tax in it is kept apart, and what the tenant owes is paid first.
    """
    journal = top_up(
        src=src,
        tenant_id=tenant_id,
        micros=micros,
        at_ms=now_ms,
        into=into,
        memo=memo,
        tax=taxed(db, tenant_id, micros),
        ref=ref,
    )
    journal_id = post(db, journal)
    if journal_id is not None:
        net(db, tenant_id, cause=src, now_ms=now_ms)
    return journal_id


def add_funds(
    db: Db,
    tenant_id: str,
    *,
    src: str,
    micros: int,
    memo: str,
    now_ms: int,
    made_by: str = CONSOLE,
) -> int | None:
    """Note money that came in by bank; None if this payment was noted before.

    Refuses an amount of nothing or beyond TOP_UP_MICROS_MAX, and a payment that was noted before
    with another amount or for another tenant.
    """
    check_amount(micros)
    made = Adjustment(
        src=src,
        kind="demo_payment" if src.startswith(DEMO) else "bank_payment",
        at_ms=now_ms,
        tenant_id=tenant_id,
        micros=micros,
        tax=taxed(db, tenant_id, micros),
        memo=memo,
        made_by=made_by,
    )
    journal_id = adjust(db, made)
    if journal_id is None:
        before = queries.find_journal(db, src)
        assert before is not None
        amounts = dict(before.postings)
        if amounts.get(BANK) != micros or wallet(tenant_id) not in amounts:
            raise Refusal(
                code="reference_used",
                status=409,
                message=f"{before.memo} was noted before with another amount or organization.",
                hint="Look at the bank's statement for this payment's own reference.",
                field="reference",
            )
    return journal_id


def check_amount(micros: int) -> None:
    """Refuse an amount of nothing or beyond TOP_UP_MICROS_MAX."""
    if not 0 < micros <= TOP_UP_MICROS_MAX:
        raise Refusal(
            code="amount_out_of_range",
            status=422,
            message=f"amount: at least {show_amount(1)}, at most {show_amount(TOP_UP_MICROS_MAX)}.",
            hint="Correct the amount; nothing was posted.",
            field="amount",
        )


def verify(db: Db) -> BooksReport:
    """Check that every journal balances and every account's row is the sum of its postings."""
    accounts = queries.list_accounts(db)
    return checked_books(
        (journal for _, journal in queries.list_journals(db)),
        {name: account.balance for name, account in accounts.items()},
    )

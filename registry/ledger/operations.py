"""Money moves here and nowhere else."""

from protocol.money import MICROS_PER_UNIT, show_amount
from protocol.refusal import Refusal
from registry.ledger import queries
from registry.ledger.account_names import promo
from registry.ledger.audit import BooksReport, checked_books
from registry.ledger.postings import Journal, correction, off_balance, promo_grant, top_up
from registry.store.database import Db

TOP_UP_MICROS_MAX = 1_000_000_000 * MICROS_PER_UNIT
"""More in one payment is a slip of the hand; a sum of several still stays exact in any JSON."""


def post(db: Db, journal: Journal) -> int | None:
    """Post a journal and return its id; None, and nothing done, if its key was posted before."""
    assert journal.postings
    assert off_balance(journal.postings) == 0
    journal_id = queries.insert_journal(db, journal)
    if journal_id is not None:
        queries.insert_postings(db, journal_id, journal.postings)
    return journal_id


def add_funds(
    db: Db, tenant_id: str, *, src: str, micros: int, memo: str, now_ms: int
) -> int | None:
    """Note money that came in by bank; None if this payment was noted before.

    Refuses an amount of nothing or beyond TOP_UP_MICROS_MAX, and a payment that was noted before
    with another amount or for another tenant.
    """
    if not 0 < micros <= TOP_UP_MICROS_MAX:
        raise Refusal(
            code="amount_out_of_range",
            status=422,
            message=f"amount: at least {show_amount(1)}, at most {show_amount(TOP_UP_MICROS_MAX)}.",
            hint="Correct the amount; nothing was posted.",
            field="amount",
        )
    journal = top_up(src=src, tenant_id=tenant_id, micros=micros, at_ms=now_ms, memo=memo)
    journal_id = post(db, journal)
    if journal_id is None:
        before = queries.find_journal(db, src)
        assert before is not None
        if sorted(before.postings) != sorted(journal.postings):
            raise Refusal(
                code="reference_used",
                status=409,
                message=f"{before.memo} was noted before with another amount or organization.",
                hint="Look at the bank's statement for this payment's own reference.",
                field="reference",
            )
    return journal_id


def grant_promo(
    db: Db,
    tenant_id: str,
    *,
    grant: str,
    micros: int,
    expires_at_ms: int | None,
    memo: str,
    now_ms: int,
) -> int | None:
    """Give a tenant a promotional grant; None if it was given before."""
    journal_id = post(
        db,
        promo_grant(
            src=f"promo:{tenant_id}:{grant}",
            tenant_id=tenant_id,
            grant=grant,
            micros=micros,
            at_ms=now_ms,
            memo=memo,
        ),
    )
    if journal_id is not None and expires_at_ms is not None:
        queries.change_expiry(db, promo(tenant_id, grant), expires_at_ms)
    return journal_id


def reverse(db: Db, src: str, *, memo: str, now_ms: int) -> int | None:
    """Undo a journal exactly; None if it was undone before."""
    original = queries.find_journal(db, src)
    assert original is not None
    return post(db, correction(original, src=f"undo:{src}", at_ms=now_ms, memo=memo))


def verify(db: Db) -> BooksReport:
    """Check that every journal balances and every account's row is the sum of its postings."""
    accounts = queries.list_accounts(db)
    return checked_books(
        (journal for _, journal in queries.list_journals(db)),
        {name: account.balance for name, account in accounts.items()},
    )

"""Money moves here and nowhere else."""

from registry.ledger import queries
from registry.ledger.account_names import promo
from registry.ledger.audit import BooksReport, checked_books
from registry.ledger.postings import Journal, correction, off_balance, promo_grant, top_up
from registry.store.database import Db


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
    """Note money that came in by bank; None if this payment was noted before."""
    return post(db, top_up(src=src, tenant_id=tenant_id, micros=micros, at_ms=now_ms, memo=memo))


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

"""Journals of what sites earn: shares that mature, payouts, and what must be given back."""

from registry.ledger import account_names
from registry.ledger.postings import Journal, balanced, whole_cents


def maturity(*, src: str, site_id: str, micros: int, owed: int, at_ms: int, memo: str) -> Journal:
    """A held share can be paid out now; what the site has to give back is taken from it first.

    owed  what the site has to give back
    """
    assert micros > 0
    returned = min(micros, max(owed, 0))
    postings = {
        account_names.site_hold(site_id): micros,
        account_names.site_receivable(site_id): -returned,
        account_names.site(site_id): returned - micros,
    }
    return balanced(src=src, kind="maturity", at_ms=at_ms, postings=postings, memo=memo)


def payout(
    *,
    src: str,
    site_id: str,
    micros: int,
    at_ms: int,
    memo: str,
    out_of: str = account_names.STRIPE,
) -> Journal:
    """A site is paid: whole cents, the rest stays with its account."""
    assert micros > 0
    assert micros == whole_cents(micros)
    postings = {account_names.site(site_id): micros, out_of: -micros}
    return balanced(src=src, kind="payout", at_ms=at_ms, postings=postings, memo=memo)


def payout_returned(original: Journal, *, src: str, at_ms: int, memo: str) -> Journal:
    """A payout failed or was called back: every leg of it is turned."""
    assert original.kind == "payout"
    postings = {account: -micros for account, micros in original.postings}
    return balanced(
        src=src, kind="payout_returned", at_ms=at_ms, postings=postings, ref=original.src, memo=memo
    )


def clawback(
    *,
    src: str,
    site_id: str,
    micros: int,
    payable: int,
    at_ms: int,
    memo: str,
    into: str = account_names.SITE_SHARE,
    ref: str = "",
) -> Journal:
    """A share that had matured was not earned: the site's account pays, the rest it owes.

    payable  what the site's account holds
    into     the account that gets it: our expense, or the hold that a correction drew on
    """
    assert micros > 0
    paid = min(micros, max(payable, 0))
    postings = {
        account_names.site(site_id): paid,
        account_names.site_receivable(site_id): micros - paid,
        into: -micros,
    }
    return balanced(src=src, kind="clawback", at_ms=at_ms, postings=postings, ref=ref, memo=memo)

"""Journals of what a payment provider does with money: fees, refunds, disputes, settlement.

They say what happened at the provider, so that the sum of its own records is the balance of
`A:stripe`, and what that means for the tenant who paid.
"""

from dataclasses import dataclass

from registry.ledger import account_names
from registry.ledger.postings import NO_TAX, Journal, Tax, balanced


@dataclass(frozen=True, slots=True)
class DisputeEnd:
    """How a dispute ended: what the bank kept, what was frozen of it, and the tax in it.

    frozen  what the tenant's frozen account holds for this dispute: what was frozen as it opened
    """

    dispute_id: str
    tenant_id: str
    micros: int
    frozen: int
    tax: Tax = NO_TAX


def fee(*, src: str, micros: int, at_ms: int, memo: str, ref: str = "") -> Journal:
    """The provider kept a fee; below zero it gave one back."""
    postings = {account_names.FEE: micros, account_names.STRIPE: -micros}
    return balanced(src=src, kind="fee", at_ms=at_ms, postings=postings, memo=memo, ref=ref)


def settlement(*, src: str, micros: int, at_ms: int, memo: str) -> Journal:
    """The provider paid out to our bank; below zero that came back or was taken from it."""
    postings = {account_names.BANK: micros, account_names.STRIPE: -micros}
    return balanced(src=src, kind="settlement", at_ms=at_ms, postings=postings, memo=memo)


def refund(
    *,
    src: str,
    tenant_id: str,
    micros: int,
    wallet: int,
    at_ms: int,
    memo: str,
    tax: Tax = NO_TAX,
    out_of: str = account_names.STRIPE,
    ref: str = "",
) -> Journal:
    """A payment goes back: the wallet pays, and what it does not hold is owed.

    micros  what goes back, `tax` included
    wallet  what the wallet holds; a refund that we decide on takes no more than that
    ref     the payment
    """
    assert 0 <= tax.micros < micros
    net = micros - tax.micros
    paid = min(net, max(wallet, 0))
    postings = {
        account_names.wallet(tenant_id): paid,
        account_names.receivable(tenant_id): net - paid,
        out_of: -micros,
    }
    if tax.micros:
        postings[account_names.tax(tax.jurisdiction)] = tax.micros
    return balanced(src=src, kind="refund", at_ms=at_ms, postings=postings, memo=memo, ref=ref)


def refund_failed(original: Journal, *, src: str, at_ms: int, memo: str) -> Journal:
    """A refund did not reach the card: every leg of it is turned."""
    assert original.kind == "refund"
    postings = {account: -micros for account, micros in original.postings}
    return balanced(
        src=src, kind="refund_failed", at_ms=at_ms, postings=postings, ref=original.src, memo=memo
    )


def dispute_opened(
    *,
    src: str,
    dispute_id: str,
    tenant_id: str,
    micros: int,
    fee_micros: int,
    wallet: int,
    at_ms: int,
    memo: str,
    ref: str = "",
) -> Journal:
    """A bank took a payment back for now: the tenant can't spend it, as far as it is there.

    micros      what was taken, tax included
    fee_micros  what the provider keeps for the dispute
    wallet      what the wallet holds; so much of it is frozen at most
    """
    assert micros > 0
    assert fee_micros >= 0
    kept = min(micros, max(wallet, 0))
    postings = {
        account_names.dispute(dispute_id): micros,
        account_names.FEE: fee_micros,
        account_names.STRIPE: -micros - fee_micros,
        account_names.wallet(tenant_id): kept,
        account_names.frozen(tenant_id): -kept,
    }
    return balanced(
        src=src, kind="dispute_opened", at_ms=at_ms, postings=postings, memo=memo, ref=ref
    )


def frozen_by(opened: Journal) -> int:
    """Return what a dispute froze as it opened."""
    assert opened.kind == "dispute_opened"
    return sum(-micros for account, micros in opened.postings if account.startswith("L:frozen:"))


def dispute_won(
    end: DisputeEnd, *, src: str, at_ms: int, memo: str, fee_returned: int = 0
) -> Journal:
    """The bank gave the payment back: the tenant may spend again what was frozen."""
    assert 0 <= end.frozen <= end.micros
    assert fee_returned >= 0
    postings = {
        account_names.STRIPE: end.micros + fee_returned,
        account_names.FEE: -fee_returned,
        account_names.dispute(end.dispute_id): -end.micros,
        account_names.frozen(end.tenant_id): end.frozen,
        account_names.wallet(end.tenant_id): -end.frozen,
    }
    return balanced(
        src=src,
        kind="dispute_won",
        at_ms=at_ms,
        postings=postings,
        memo=memo,
        ref=f"dispute:{end.dispute_id}",
    )


def dispute_lost(end: DisputeEnd, *, src: str, at_ms: int, memo: str) -> Journal:
    """The bank keeps the payment: its tax is no longer due, what was frozen pays, the rest is owed.

    What was frozen beyond that (the tax in it) can be spent again.
    """
    assert 0 <= end.frozen <= end.micros
    assert 0 <= end.tax.micros < end.micros
    net = end.micros - end.tax.micros
    paid = min(net, end.frozen)
    postings = {
        account_names.frozen(end.tenant_id): end.frozen,
        account_names.wallet(end.tenant_id): paid - end.frozen,
        account_names.receivable(end.tenant_id): net - paid,
        account_names.dispute(end.dispute_id): -end.micros,
    }
    if end.tax.micros:
        postings[account_names.tax(end.tax.jurisdiction)] = end.tax.micros
    return balanced(
        src=src,
        kind="dispute_lost",
        at_ms=at_ms,
        postings=postings,
        memo=memo,
        ref=f"dispute:{end.dispute_id}",
    )

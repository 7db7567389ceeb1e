"""The journals that refunds and disputes come to.

Each follows from its row alone, but for what of it the wallet could pay, which the moment decided.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from registry.ledger import payment_postings
from registry.ledger.postings import NO_TAX, Journal, Tax
from registry.payments.checkout import TopUp


@dataclass(frozen=True, slots=True)
class RefundRow:
    """A refund as our own row has it.

    refund_id    the processor's, empty until it is known
    tax_micros   what of it is tax
    ended_at_ms  when it failed or was refused
    """

    refund_key: str
    top_up_id: str
    refund_id: str
    micros: int
    tax_micros: int
    state: str
    reason: str
    asked_by: str
    why: str
    created_at_ms: int
    ended_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class DisputeRow:
    """A dispute as our own row has it.

    fee_micros           what the processor kept for it, fee_returned_micros what it gave back
    """

    dispute_id: str
    top_up_id: str
    tenant_id: str
    micros: int
    tax_micros: int
    fee_micros: int
    fee_returned_micros: int
    state: str
    reason: str
    due_at_ms: int | None
    opened_at_ms: int
    closed_at_ms: int | None


def refund_journal(row: RefundRow, paid: TopUp, *, wallet: int) -> Journal:
    """Return the journal by which a refund leaves the wallet."""
    return payment_postings.refund(
        src=refund_src(row.refund_key),
        tenant_id=paid.tenant_id,
        micros=row.micros,
        wallet=wallet,
        at_ms=row.created_at_ms,
        memo="Refund to the card",
        tax=_tax(paid, row.tax_micros),
        ref=paid.top_up_id,
    )


def turned_journal(original: Journal, *, at_ms: int) -> Journal:
    """Return the journal of a refund that did not arrive."""
    return payment_postings.refund_failed(
        original, src=f"{original.src}:failed", at_ms=at_ms, memo="Refund did not arrive"
    )


def opened_journal(row: DisputeRow, paid: TopUp, *, wallet: int) -> Journal:
    """Return the journal of a dispute that took money."""
    return payment_postings.dispute_opened(
        src=dispute_src(row.dispute_id),
        dispute_id=row.dispute_id,
        tenant_id=row.tenant_id,
        micros=row.micros,
        fee_micros=row.fee_micros,
        wallet=wallet,
        at_ms=row.opened_at_ms,
        memo="Payment disputed by the cardholder's bank",
        ref=paid.top_up_id,
    )


def closed_journal(row: DisputeRow, paid: TopUp, opened: Journal) -> Journal:
    """Return the journal of a dispute that was decided.  opened: what says how much was frozen"""
    assert row.closed_at_ms is not None
    end = payment_postings.DisputeEnd(
        dispute_id=row.dispute_id,
        tenant_id=row.tenant_id,
        micros=row.micros,
        frozen=payment_postings.frozen_by(opened),
        tax=_tax(paid, row.tax_micros),
    )
    src = f"stripe:{row.dispute_id}:closed"
    if row.state == "lost":
        return payment_postings.dispute_lost(
            end, src=src, at_ms=row.closed_at_ms, memo="Dispute lost"
        )
    return payment_postings.dispute_won(
        end,
        src=src,
        at_ms=row.closed_at_ms,
        memo="Dispute won",
        fee_returned=row.fee_returned_micros,
    )


def refund_journals(row: RefundRow, paid: TopUp, posted: Journal | None) -> Iterator[Journal]:
    """Return every journal that a refund comes to.  posted: what it came to as it was made"""
    made = refund_journal(row, paid, wallet=row.micros)
    yield made
    if row.ended_at_ms is not None:
        yield turned_journal(posted or made, at_ms=row.ended_at_ms)


def dispute_journals(row: DisputeRow, paid: TopUp, posted: Journal | None) -> Iterator[Journal]:
    """Return every journal that a dispute comes to.  posted: what it came to as it opened"""
    made = opened_journal(row, paid, wallet=row.micros)
    yield made
    if row.closed_at_ms is not None:
        yield closed_journal(row, paid, posted or made)


def refund_src(refund_key: str) -> str:
    """Return the key under which a refund is posted."""
    return f"stripe:refund:{refund_key}"


def dispute_src(dispute_id: str) -> str:
    """Return the key under which a dispute is posted as it opens."""
    return f"stripe:{dispute_id}:opened"


def _tax(paid: TopUp, micros: int) -> Tax:
    return Tax(paid.tax.jurisdiction, micros) if micros else NO_TAX

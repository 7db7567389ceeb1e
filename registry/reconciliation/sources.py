"""What a movement of our balance at the card processor is about."""

from enum import StrEnum

from registry.ledger import payment_postings
from registry.ledger.postings import Journal
from registry.payments.checkout import micros_of
from registry.payments.fees import fee_journal
from registry.payments.provider import Transaction


class Source(StrEnum):
    """Which of our records a movement belongs to."""

    PAYMENT = "payment"
    REFUND = "refund"
    DISPUTE = "dispute"
    SETTLEMENT = "settlement"
    TRANSFER = "transfer"
    FEE = "fee"
    UNKNOWN = "unknown"


_KINDS = {
    "charge": Source.PAYMENT,
    "payment": Source.PAYMENT,
    "refund": Source.REFUND,
    "payment_refund": Source.REFUND,
    "refund_failure": Source.REFUND,
    "payment_failure_refund": Source.REFUND,
    "payout": Source.SETTLEMENT,
    "payout_failure": Source.SETTLEMENT,
    "payout_cancel": Source.SETTLEMENT,
    "transfer": Source.TRANSFER,
    "transfer_refund": Source.TRANSFER,
    "transfer_cancel": Source.TRANSFER,
    "transfer_failure": Source.TRANSFER,
    "stripe_fee": Source.FEE,
    "tax_fee": Source.FEE,
    "network_cost": Source.FEE,
}
DISPUTES = ("dp_", "du_")


def source_of(transaction: Transaction) -> Source:
    """Return what a movement is about; what nobody knows is for a person to look at."""
    if transaction.kind == "adjustment" and transaction.source_id.startswith(DISPUTES):
        return Source.DISPUTE
    return _KINDS.get(transaction.kind, Source.UNKNOWN)


def entry_journals(transaction: Transaction) -> list[Journal]:
    """Return the journals that a movement comes to by itself: fees, and money sent to our bank.

    A refund's and a dispute's own fees are in their journals.
    """
    source = source_of(transaction)
    journals: list[Journal | None] = []
    if source is Source.FEE:
        journals.append(fee_journal(transaction, -micros_of(transaction.net_cents)))
    elif source in (Source.PAYMENT, Source.SETTLEMENT):
        journals.append(fee_journal(transaction, micros_of(transaction.fee_cents)))
    if source is Source.SETTLEMENT:
        journals.append(
            payment_postings.settlement(
                src=f"stripe:{transaction.transaction_id}:settlement",
                micros=-micros_of(transaction.cents),
                at_ms=transaction.created_at_ms,
                memo=f"Card processor to bank ({transaction.source_id})",
            )
        )
    return [journal for journal in journals if journal is not None]

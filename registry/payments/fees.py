"""What the card processor keeps of a movement, as a journal."""

from registry.ledger import payment_postings
from registry.ledger.postings import Journal
from registry.payments.provider import Transaction


def fee_journal(transaction: Transaction, micros: int) -> Journal | None:
    """Return the journal of a movement's fee, or None where there is none.

    Its moment is the processor's own, so that it is the same whoever posts it.
    """
    if micros == 0:
        return None
    return payment_postings.fee(
        src=f"stripe:{transaction.transaction_id}:fee",
        micros=micros,
        at_ms=transaction.created_at_ms,
        memo="Card processor's fee",
        ref=transaction.source_id,
    )

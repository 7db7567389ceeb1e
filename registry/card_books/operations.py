"""What the rows of card payments claim of the books."""

from registry.card_books import queries
from registry.ledger.account_names import FEE, STRIPE
from registry.ledger.account_names import dispute as dispute_account
from registry.ledger.founded import Claim
from registry.payments.operations import paid_src
from registry.refunds.operations import dispute_src, refund_src
from registry.store.database import Db

TURNED = frozenset({"failed", "refused"})
ENDS = {"won": "dispute_won", "lost": "dispute_lost"}


def card_claims(db: Db) -> dict[str, Claim]:
    """Return by business key what is known of each journal of a card payment."""
    claims = {
        paid_src(payment_id): Claim("top_up", {STRIPE: micros})
        for payment_id, micros in queries.list_credited(db)
    }
    for key, micros, state in queries.list_refunds(db):
        claims[refund_src(key)] = Claim("refund", {STRIPE: -micros})
        if state in TURNED:
            claims[f"{refund_src(key)}:failed"] = Claim("refund_failed", {STRIPE: micros})
    for dispute_id, micros, state in queries.list_disputes(db):
        account = dispute_account(dispute_id)
        claims[dispute_src(dispute_id)] = Claim("dispute_opened", {account: micros})
        if state in ENDS:
            claims[f"stripe:{dispute_id}:closed"] = Claim(ENDS[state], {account: -micros})
    # A fee is told with its payment, and again when the processor's list was read.
    for src in queries.list_fees_of_payments(db):
        claims[src] = Claim("fee", {}, required=False)
    for transaction_id, micros, fee, net in queries.list_entries(db):
        kept = Claim("fee", {FEE: fee or -net}, required=False)
        claims[f"stripe:{transaction_id}:fee"] = kept
        settled = Claim("settlement", {STRIPE: micros}, required=False)
        claims[f"stripe:{transaction_id}:settlement"] = settled
    return claims

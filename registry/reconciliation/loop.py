"""The processor's list read on from where it was left, and its balance held against the books."""

from registry.payments.provider import Payments, Transaction
from registry.payments.queries import find_by_charge, find_by_payment
from registry.payouts.operations import note_answer, note_returned
from registry.payouts.queries import find_payout
from registry.payouts.sender import PayoutAnswer
from registry.reconciliation import queries
from registry.reconciliation.operations import compare, note_entry, note_read
from registry.reconciliation.sources import Source, source_of
from registry.refunds.operations import note_dispute, note_refund
from registry.settlement.operations import find_settled
from registry.store.database import Database

PAGE_ROWS = 100
PAGES_PER_PASS_MAX = 5
UNPOSTED_PER_PASS_MAX = 25
"""Movements that nobody knew are looked at again: what they are about may have come since."""


def reconcile(database: Database, payments: Payments, now_ms: int) -> int:
    """Read what moved since the last time, then compare; return how many movements were read."""
    with database.reading() as db:
        unposted = queries.list_unposted(db, limit=UNPOSTED_PER_PASS_MAX)
        after_id = queries.get_comparison(db).last_transaction_id
    for seen in unposted:
        _note(database, payments, seen, now_ms=now_ms)
    count = 0
    for _ in range(PAGES_PER_PASS_MAX):
        page = payments.list_transactions(after_id=after_id, limit=PAGE_ROWS)
        for seen in page.transactions:
            _note(database, payments, seen, now_ms=now_ms)
            database.run(note_read, seen.transaction_id)
        count += len(page.transactions)
        if not page.has_more:
            # Only a list that was read to its end can be compared.
            database.run(compare, payments.balance_cents(), now_ms=now_ms)
            break
        after_id = page.transactions[-1].transaction_id
    return count


def _note(database: Database, payments: Payments, seen: Transaction, *, now_ms: int) -> None:
    known = _follow(database, payments, seen, now_ms=now_ms)
    database.run(note_entry, seen, known=known, now_ms=now_ms)


def _follow(database: Database, payments: Payments, seen: Transaction, *, now_ms: int) -> bool:
    """Bring the record a movement is about up to date; False if there is none of ours."""
    source, source_id = source_of(seen), seen.source_id
    if source is Source.PAYMENT:
        return _follow_payment(database, payments, source_id, now_ms=now_ms)
    if source is Source.REFUND:
        refund = payments.find_refund(source_id)
        if refund is None:
            return False
        _credited_first(database, payments, refund.payment_id, now_ms=now_ms)
        return database.run(note_refund, refund, now_ms=now_ms) is not None
    if source is Source.DISPUTE:
        dispute = payments.find_dispute(source_id)
        if dispute is None:
            return False
        _credited_first(database, payments, dispute.payment_id, now_ms=now_ms)
        return database.run(note_dispute, dispute, now_ms=now_ms) is not None
    if source is Source.TRANSFER:
        return _follow_transfer(database, payments, seen, now_ms=now_ms)
    return source is not Source.UNKNOWN


def _follow_transfer(
    database: Database, payments: Payments, seen: Transaction, *, now_ms: int
) -> bool:
    """Whether a transfer, or one called back as a whole, is a payout of ours."""
    is_sent = seen.kind == "transfer"
    transfer_id = seen.source_id
    if not is_sent:
        transfer_id = payments.find_reversed_transfer(seen.transaction_id)
    payout_id, is_back = payments.find_payout_of(transfer_id) if transfer_id else ("", False)
    with database.reading() as db:
        payout = find_payout(db, payout_id)
    if payout is None or (not is_sent and not is_back):
        return False
    if is_back:
        sent = PayoutAnswer("paid", reference=transfer_id)
        database.run(note_answer, payout_id, sent, now_ms=now_ms)
        why = "called back at the card processor"
        database.run(note_returned, payout_id, why=why, now_ms=now_ms)
    return True


def _follow_payment(database: Database, payments: Payments, charge_id: str, *, now_ms: int) -> bool:
    with database.reading() as db:
        row = find_by_charge(db, charge_id)
    if row is not None and row.is_credited:
        return True
    payment = payments.find_payment_of_charge(charge_id)
    if payment is None:
        return False
    settled = find_settled(database, payments, payment, now_ms=now_ms)
    return settled is not None and settled.is_credited


def _credited_first(
    database: Database, payments: Payments, payment_id: str, *, now_ms: int
) -> None:
    with database.reading() as db:
        row = find_by_payment(db, payment_id)
    if row is not None and row.is_credited:
        return
    payment = payments.find_payment(payment_id) if payment_id else None
    if payment is not None:
        find_settled(database, payments, payment, now_ms=now_ms)

"""The processor's list read on from where it was left, and its balance held against the books."""

from registry.payments.provider import Payments, Transaction
from registry.payments.queries import find_by_charge, find_by_payment
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
    return source is not Source.UNKNOWN


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

"""Movements noted, balances compared, and organizations frozen while a payment is disputed."""

from dataclasses import replace

from protocol.clock import MINUTE_MS
from protocol.money import show_amount
from registry.leases.operations import find_terms, resume, suspend
from registry.leases.queries import list_suspended
from registry.ledger.account_names import STRIPE
from registry.ledger.operations import post
from registry.ledger.postings import Journal
from registry.ledger.queries import find_journal, get_account
from registry.payments.checkout import micros_of
from registry.payments.operations import paid_journal
from registry.payments.provider import Transaction
from registry.payments.queries import insert_entry, list_credited
from registry.payouts.queries import list_waiting
from registry.reconciliation import queries
from registry.reconciliation.queries import Comparison, PaymentFinding
from registry.reconciliation.sources import entry_journals
from registry.refunds.journals import dispute_journals, dispute_src, refund_journals, refund_src
from registry.refunds.queries import (
    list_disputing,
    list_every_dispute,
    list_every_refund,
    sum_of_asked,
)
from registry.store.database import Db
from registry.tenants.roles import console

SETTLES_MS = 2 * MINUTE_MS
"""A difference that lasts so long is no payment on its way between two answers."""

PAYER = "stripe"
"""The name of the payer of payouts whose money is at the processor."""

LEAVING_MAX = 1_000
UNPOSTED_MAX = 10_000
UNKNOWN = "payment_unknown"
DIFFERS = "books_differ"
INCOMPLETE = "provider_list_incomplete"
DISPUTED = "A card payment is disputed by its bank"


def note_entry(db: Db, seen: Transaction, *, known: bool, now_ms: int) -> None:
    """Note a movement and post what it says by itself: fees, and money sent to our bank.

    known  whether the books know what it is about; if not, a finding says so until they do
    """
    if known:
        for journal in entry_journals(seen):
            post(db, journal)
    if not insert_entry(db, seen, posted=known, now_ms=now_ms) and known:
        queries.change_posted(db, seen.transaction_id)
    if known:
        queries.close_finding(db, code=UNKNOWN, subject=seen.transaction_id, now_ms=now_ms)
        return
    queries.open_finding(
        db,
        PaymentFinding(
            code=UNKNOWN,
            subject=seen.transaction_id,
            detail=(
                f"{show_amount(micros_of(seen.net_cents))} moved at the card processor "
                f"({seen.kind}, {seen.source_id or 'no source'}) and is in no account here."
            ),
            remedy="Look it up at the processor; the account there must serve this registry alone.",
            since_ms=now_ms,
        ),
    )


def expected_journals(db: Db) -> dict[str, Journal]:
    """Return the journals that payments by card come to, by business key.

    Each follows from our own rows and the processor's list; only how much of a refund or a dispute
    the wallet could pay is what the books themselves say.
    """
    paid = {row.top_up_id: row for row in list_credited(db)}
    journals = [paid_journal(row) for row in paid.values()]
    # What is of a payment that is not credited follows from nothing.
    for refund in (one for one in list_every_refund(db) if one.top_up_id in paid):
        posted = find_journal(db, refund_src(refund.refund_key))
        journals += refund_journals(refund, paid[refund.top_up_id], posted)
    for dispute in (one for one in list_every_dispute(db) if one.top_up_id in paid):
        posted = find_journal(db, dispute_src(dispute.dispute_id))
        journals += dispute_journals(dispute, paid[dispute.top_up_id], posted)
    unknown = {one.transaction_id for one in queries.list_unposted(db, limit=UNPOSTED_MAX)}
    for seen in queries.list_entries(db):
        if seen.transaction_id not in unknown:
            journals += entry_journals(seen)
    return {journal.src: journal for journal in journals}


def note_read(db: Db, last_transaction_id: str) -> None:
    """Keep how far the processor's list was read."""
    before = queries.get_comparison(db)
    queries.put_comparison(db, replace(before, last_transaction_id=last_transaction_id))


def compare(db: Db, provider_cents: int, *, now_ms: int) -> Comparison:
    """Hold the processor's balance against the books; what lasts becomes a finding.

    Refunds and payouts leave the books first and the processor next: so much it may have more.
    """
    before = queries.get_comparison(db)
    made = replace(
        before,
        checked_at_ms=now_ms,
        provider_micros=micros_of(provider_cents),
        book_micros=get_account(db, STRIPE),
    )
    payouts = sum(one.micros for one in list_waiting(db, PAYER, limit=LEAVING_MAX))
    leaving = sum_of_asked(db) + payouts
    agrees = 0 <= made.difference <= leaving
    since_ms = None if agrees else before.differs_since_ms or now_ms
    made = replace(made, differs_since_ms=since_ms)
    queries.put_comparison(db, made)
    if since_ms is None:
        queries.close_finding(db, code=DIFFERS, now_ms=now_ms)
        queries.close_finding(db, code=INCOMPLETE, now_ms=now_ms)
    elif now_ms - since_ms >= SETTLES_MS:
        _open_difference(db, made, since_ms=since_ms)
    return made


def freeze_disputing(db: Db, *, now_ms: int) -> int:
    """Recall the leases of whoever disputes a payment, and let them work when that is over.

    Done again it changes nothing; who was suspended for another reason stays as they are.
    """
    disputing = list_disputing(db)
    frozen = {one for one, why in list_suspended(db).items() if why == DISPUTED}
    changed = 0
    for tenant_id in sorted(disputing - frozen):
        if find_terms(db, tenant_id).suspended_at_ms is None:
            suspend(db, tenant_id, DISPUTED, actor=console(), now_ms=now_ms)
            changed += 1
    for tenant_id in sorted(frozen - disputing):
        resume(db, tenant_id, actor=console(), now_ms=now_ms)
        changed += 1
    return changed


def _open_difference(db: Db, made: Comparison, *, since_ms: int) -> None:
    noted = queries.sum_of_entries(db)
    queries.open_finding(
        db,
        PaymentFinding(
            code=DIFFERS,
            subject="",
            detail=(
                f"The card processor says {show_amount(made.provider_micros)}, the books say "
                f"{show_amount(made.book_micros)}: {show_amount(made.difference)} apart."
            ),
            remedy="See the other findings about payments; each names a movement.",
            since_ms=since_ms,
        ),
    )
    if noted != made.provider_micros:
        queries.open_finding(
            db,
            PaymentFinding(
                code=INCOMPLETE,
                subject="",
                detail=(
                    f"The movements that were read come to {show_amount(noted)}, the processor's "
                    f"balance is {show_amount(made.provider_micros)}."
                ),
                remedy="Compare the processor's own export of balance transactions.",
                since_ms=since_ms,
            ),
        )

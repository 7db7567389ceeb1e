"""Journals of card payments follow from the rows of payments, refunds and disputes."""

import pytest
from sqlalchemy import text

from registry.adjustments.operations import verify_founded
from registry.reconciliation.operations import expected_journals
from registry.refunds.operations import begin_refund
from registry.tenants.roles import console
from tests.registry.till import Till


def test_payments_refunds_and_disputes_follow_from_their_rows(till: Till) -> None:
    _busy(till)

    assert {"top_up", "fee", "refund", "dispute_opened", "dispute_lost"} <= _kinds(till)
    assert _problems(till) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE top_up SET micros = micros + 10000", "journal_wrong"),
        ("UPDATE refund SET micros = micros + 10000", "journal_wrong"),
        ("UPDATE dispute SET micros = micros + 10000", "journal_wrong"),
        ("UPDATE top_up SET journal_id = NULL", "journal_unfounded"),
        ("UPDATE refund SET refund_key = 'other'", "journal_missing"),
        ("UPDATE dispute SET state = 'open', closed_at_ms = NULL", "journal_unfounded"),
        ("UPDATE dispute SET fee_micros = 0", "journal_wrong"),
        ("UPDATE top_up SET tax_jurisdiction = 'KE', tax_micros = 10000", "journal_wrong"),
        ("UPDATE provider_entry SET fee_micros = fee_micros + 10000", "journal_wrong"),
        ("DELETE FROM provider_entry", "journal_unfounded"),
    ],
)
def test_a_row_that_says_something_else_is_named(till: Till, change: str, code: str) -> None:
    _busy(till)
    with till.rig.database.unit() as db:
        db.execute(text(change))

    assert code in {found for found, _ in _problems(till)}


def _busy(till: Till) -> None:
    """Two payments: one refunded in part, one disputed and lost."""
    browser = till.rig.member()
    for _ in range(2):
        till.come_back(browser, till.paid(browser))
    till.deliver_all()
    till.work()
    first, second = till.top_ups()
    with till.rig.database.unit() as db:
        begin_refund(
            db, first.top_up_id, micros=10_000_000, reason="requested_by_customer",
            actor=console(), now_ms=till.rig.clock(), new_id=till.rig.new_id,
        )  # fmt: skip
    assert second.payment_id
    dispute = till.stripe.account.dispute(second.payment_id)
    till.deliver_all()
    till.work()
    till.stripe.account.decide(dispute["id"], won=False)
    till.deliver_all()
    till.rig.clock.forward(60_000)
    till.work()


def _kinds(till: Till) -> set[str]:
    with till.rig.database.reading() as db:
        return {row.kind for row in db.rows(text("SELECT kind FROM journal"))}


def _problems(till: Till) -> list[tuple[str, str]]:
    with till.rig.database.reading() as db:
        return [(one.code, one.subject) for one in verify_founded(db, expected_journals(db))]

"""Every journal follows from something; what does not, or is missing, is named."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from registry.adjustments.operations import (
    claw_back,
    expire_grants,
    grant_promo,
    mature_shares,
    refund_by_bank,
    reverse,
    set_credit,
    set_right,
    set_tax,
    verify_founded,
    write_off,
)
from registry.adjustments.shares import DISPUTE_WINDOW_MS
from registry.ledger.operations import credit_payment, post, verify
from registry.ledger.payment_postings import fee
from registry.ledger.postings import UsageCharge, usage
from registry.ledger.queries import find_journal, get_purse
from registry.store.database import Database, Db
from registry.tenants.roles import console
from tests.registry.books import books, give, unlock
from tests.services.databases import Databases

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = 498_648 * HOUR_MS
MATURE_MS = START_MS + DISPUTE_WINDOW_MS + DAY_MS
WHO = console()


def test_true_books_follow_from_what_happened(databases: Databases) -> None:
    with books(databases) as database:
        _busy(database)

        assert _problems(database) == []


@pytest.mark.parametrize(
    ("change", "code", "subject"),
    [
        (
            "UPDATE adjustment SET micros = micros + 5 WHERE tax_micros > 0",
            "journal_wrong",
            "bank:1",
        ),
        ("UPDATE adjustment SET micros = 1 WHERE src = 'bank:1'", "journal_unfounded", "bank:1"),
        ("UPDATE adjustment SET micros = 9 WHERE share > 0", "journal_unfounded", "right:log:3"),
        ("DELETE FROM adjustment WHERE src = 'bank:1'", "journal_unfounded", "bank:1"),
        (
            "UPDATE adjustment SET expires_at_ms = 9007199254740991 WHERE grant_name = 'soon'",
            "journal_unfounded",
            f"expiry:t_1:soon:{MATURE_MS}",
        ),
        ("DELETE FROM maturity", "journal_unfounded", f"maturity:s_1:0-{START_MS + HOUR_MS}"),
        ("DELETE FROM adjustment WHERE src = 'undo:log:2'", "journal_unfounded", "undo:log:2"),
        ("UPDATE adjustment SET share = 1 WHERE src = 'right:log:3'", "journal_wrong", ""),
        ("UPDATE adjustment SET at_ms = 7 WHERE src = 'clawback:s_1:case'", "journal_wrong", ""),
        (
            "UPDATE journal SET ref = 'x', src = 'netting:x' WHERE kind = 'netting'",
            "journal_unfounded",
            "netting:x",
        ),
        (
            "INSERT INTO journal (id, src, kind, at_ms, ref, memo, meter)"
            " VALUES (999, 'stripe:pi_9', 'top_up', 1, '', '', '')",
            "journal_unfounded",
            "stripe:pi_9",
        ),
        (
            "INSERT INTO adjustment SELECT 'bank:77', kind, tenant_id, site_id, micros,"
            " tax_jurisdiction, tax_micros, share, grant_name, expires_at_ms, amounts, ref, memo,"
            " at_ms, made_by FROM adjustment WHERE src = 'bank:1'",
            "journal_missing",
            "bank:77",
        ),
    ],
)
def test_what_does_not_follow_is_named(
    databases: Databases, change: str, code: str, subject: str
) -> None:
    with books(databases) as database:
        _busy(database)
        with database.unit() as db:
            for table in ("journal", "adjustment", "maturity"):
                unlock(db, table)
        with database.unit() as db:
            db.execute(text(change))

        found = _problems(database)

    assert (code, subject) in found or (not subject and code in {one for one, _ in found})


@pytest.mark.parametrize("kind", ["maturity", "clawback", "promo"])
def test_a_journal_whose_legs_were_changed_is_named(databases: Databases, kind: str) -> None:
    with books(databases) as database:
        _busy(database)
        _with_hand(
            database,
            "posting",
            "UPDATE posting SET micros = CASE WHEN micros > 0 THEN micros + 1 ELSE micros - 1 END "
            f"WHERE journal_id = (SELECT MIN(id) FROM journal WHERE kind = '{kind}')",
        )

        assert "journal_wrong" in {code for code, _ in _problems(database)}


def test_a_share_that_did_not_mature_is_named(databases: Databases) -> None:
    with books(databases) as database:
        with database.unit() as db:
            give(db, "t_1", 1_000)
            _use(db, "log:1", 40, share=28)
            db.execute(text(f"INSERT INTO maturity VALUES ({START_MS + HOUR_MS}, {MATURE_MS})"))

        assert _problems(database) == [("journal_missing", f"maturity:s_1:0-{START_MS + HOUR_MS}")]


def test_journals_of_later_rooms_are_held_to_what_they_say(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        credit_payment(
            db, "t_1", src="stripe:pi_1", micros=5, into="A:stripe", memo="", ref="", now_ms=1
        )
        post(db, fee(src="stripe:txn_1", micros=1, at_ms=1, memo=""))
        paid, kept = find_journal(db, "stripe:pi_1"), find_journal(db, "stripe:txn_1")
        assert paid is not None
        assert kept is not None

        assert verify_founded(db, {paid.src: paid, kept.src: kept}) == ()
        missing = fee(src="stripe:txn_2", micros=1, at_ms=1, memo="")
        wrong = fee(src="stripe:txn_1", micros=2, at_ms=1, memo="")
        found = verify_founded(db, {paid.src: paid, wrong.src: wrong, missing.src: missing})

    assert [(one.code, one.subject) for one in found] == [
        ("journal_wrong", "stripe:txn_1"),
        ("journal_missing", "stripe:txn_2"),
    ]


def test_an_account_below_nothing_is_named(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        charge = UsageCharge(by_class={"gpu": 5}, charged=5, overrun=0, late=0)
        journal = usage(src="log:1", at_ms=1, purse=get_purse(db, "t_1"), charge=charge)
        postings = (("L:wallet:t_1", 5), ("I:usage:gpu", -5))
        object.__setattr__(journal, "postings", postings)
        post(db, journal)
        report = verify(db)

    assert [(one.code, one.subject) for one in report.problems] == [
        ("account_below_zero", "L:wallet:t_1")
    ]


def _busy(database: Database) -> None:
    """Books in which everything happened that operators and time can do."""
    with database.unit() as db:
        set_tax(db, "t_1", jurisdiction="DE", basis_points=1_900, actor=WHO, now_ms=START_MS)
        set_credit(db, "t_2", 100, actor=WHO, now_ms=START_MS)
        give(db, "t_1", 119_000_000)
        for name, expires_at_ms in (("soon", START_MS + DAY_MS), ("never", None)):
            grant_promo(
                db, "t_1", grant=name, micros=50, expires_at_ms=expires_at_ms, memo="",
                actor=WHO, now_ms=START_MS,
            )  # fmt: skip
        _use(db, "log:1", 40, share=28)
        _use(db, "log:2", 10, share=7)
        _use(db, "log:3", 10, share=7)
        _use(db, "log:4", 20, tenant="t_2")
        undo = _doer(db, START_MS + 1)
        undo("log:2")
        set_right(
            db, "log:3", {"gpu": 5}, share_basis_points=7_000, memo="Half", actor=WHO,
            now_ms=START_MS + 2 * HOUR_MS,
        )  # fmt: skip
        mature_shares(db, now_ms=START_MS + DISPUTE_WINDOW_MS + HOUR_MS)
        _doer(db, MATURE_MS)("log:1")
        claw_back(db, "s_1", 3, memo="False", key="case", actor=WHO, now_ms=MATURE_MS)
        expire_grants(db, now_ms=MATURE_MS)
        give(db, "t_2", 30, src="bank:2")
        _use(db, "log:5", 60, tenant="t_2")
        write_off(db, "t_2", 20, memo="Gone", actor=WHO, now_ms=MATURE_MS, key="a")
        refund_by_bank(db, "t_1", 11_900_000, reference="r1", actor=WHO, now_ms=MATURE_MS)


def _doer(db: Db, at_ms: int) -> Callable[[str], int | None]:
    return lambda src: reverse(db, src, memo="Wrong price", actor=WHO, now_ms=at_ms)


def _use(db: Db, src: str, micros: int, share: int = 0, tenant: str = "t_1") -> None:
    charge = UsageCharge(
        by_class={"gpu": micros}, charged=micros, overrun=0, late=0, share=share, site_id="s_1"
    )
    journal = usage(src=src, at_ms=START_MS, purse=get_purse(db, tenant), charge=charge)
    assert post(db, journal) is not None


def _with_hand(database: Database, table: str, change: str) -> None:
    with database.unit() as db:
        unlock(db, table)
    with database.unit() as db:
        db.execute(text(change))


def _problems(database: Database) -> list[tuple[str, str]]:
    with database.reading() as db:
        books_report = verify(db)
        found = verify_founded(db, {})
    assert [one for one in books_report.problems if one.code.startswith("account")] == [] or found
    return [(one.code, one.subject) for one in found]

"""Money moves once, adds up, and what was written stays."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from protocol.refusal import Refusal
from registry.ledger.operations import (
    TOP_UP_MICROS_MAX,
    add_funds,
    credit_payment,
    post,
    verify,
)
from registry.ledger.postings import Journal, UsageCharge, top_up, usage
from registry.ledger.queries import (
    change_credit_limit,
    change_held,
    find_journal,
    get_account,
    get_balance,
    get_purse,
    insert_journal,
    insert_postings,
    list_lines,
    spend_by_day,
)
from registry.store.database import Db
from tests.registry.books import books, give, unlock
from tests.services.databases import Databases

DAY_MS = 86_400_000


def test_the_same_source_is_posted_once(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        journal = top_up(src="bank:1", tenant_id="t_1", micros=7, at_ms=1, memo="Transfer")

        assert post(db, journal) is not None
        assert post(db, journal) is None

        assert get_balance(db, "t_1").wallet == 7


def test_a_tenant_that_never_had_anything_has_nothing(databases: Databases) -> None:
    with books(databases) as database, database.reading() as db:
        balance = get_balance(db, "t_none")

    assert (balance.wallet, balance.promo, balance.owed, balance.available) == (0, 0, 0, 0)


def test_usage_beyond_the_wallet_is_owed_inside_the_credit_limit(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        change_credit_limit(db, "t_1", 50)

        _use(db, "log:1", 130)

        balance = get_balance(db, "t_1")
        assert (balance.wallet, balance.owed, balance.total, balance.available) == (0, 30, -30, 20)


def test_a_hold_never_promises_more_than_is_available(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        assert not change_held(db, "t_1", 1)
        give(db, "t_1", 100)
        change_credit_limit(db, "t_1", 20)

        assert change_held(db, "t_1", 119)
        assert not change_held(db, "t_1", 2)
        assert change_held(db, "t_1", 1)
        assert not change_held(db, "t_1", -121)
        assert change_held(db, "t_1", -120)

        assert get_balance(db, "t_1").held == 0


def test_a_hold_can_shrink_even_when_the_balance_fell_below_it(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        assert change_held(db, "t_1", 100)
        _use(db, "log:1", 60)

        assert not change_held(db, "t_1", 1)
        assert change_held(db, "t_1", -60)

        assert get_balance(db, "t_1").available == 0


def test_lines_show_the_balance_after_each_and_page_without_gaps(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_2", 5, src="bank:other")
        give(db, "t_1", 100)
        for at in range(5):
            _use(db, f"log:{at}", at + 1)

        first = list_lines(db, "t_1", limit=4)
        rest = list_lines(db, "t_1", before_id=first[-1].journal_id, limit=4)

    lines = first + rest
    assert [line.micros for line in lines] == [-5, -4, -3, -2, -1, 100]
    assert [line.balance_after for line in lines] == [85, 90, 94, 97, 99, 100]
    assert [line.kind for line in lines] == ["usage"] * 5 + ["top_up"]


def test_spend_is_shown_by_day(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        for src, day, micros in (("log:1", 0, 5), ("log:2", 0, 6), ("log:3", 2, 7)):
            _use(db, src, micros, at_ms=day * DAY_MS + 3)

        spend = spend_by_day(db, "t_1", from_ms=0, to_ms=3 * DAY_MS)

    assert spend == {0: 11, 2 * DAY_MS: 7}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE posting SET micros = 1",
        "DELETE FROM posting",
        "UPDATE journal SET memo = 'other'",
        "DELETE FROM journal",
    ],
)
def test_what_was_posted_cannot_be_changed(databases: Databases, change: str) -> None:
    with books(databases) as database:
        with database.unit() as db:
            give(db, "t_1", 100)

        with pytest.raises(DBAPIError, match="append-only"), database.unit() as db:
            db.execute(text(change))


def test_true_books_have_no_problem(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        _use(db, "log:1", 40)

        report = verify(db)

    assert report.problems == ()
    assert (report.journals, report.accounts) == (2, 3)


def test_a_changed_account_row_is_found(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        db.execute(text("UPDATE account SET balance = -101 WHERE name = 'L:wallet:t_1'"))

        report = verify(db)

    assert [(found.code, found.subject) for found in report.problems] == [
        ("account_wrong", "L:wallet:t_1")
    ]


def test_a_posting_slipped_in_is_found(databases: Databases) -> None:
    with books(databases) as database:
        with database.unit() as db:
            give(db, "t_1", 100)
            give(db, "t_2", 100, src="bank:2")
        with database.unit() as db:
            unlock(db, "posting")
            db.execute(text(SLIPPED_IN))

        with database.reading() as db:
            report = verify(db)

    assert {found.code for found in report.problems} == {
        "journal_off_balance",
        "ledger_off_balance",
        "account_wrong",
    }


def test_the_database_refuses_a_journal_that_does_not_sum_to_zero(databases: Databases) -> None:
    with books(databases) as database:
        with pytest.raises(DBAPIError), database.unit() as db:
            _post_unchecked(db, "bank:7", [("A:bank", 5), ("L:wallet:t_1", -4)])

        with database.reading() as db:
            assert find_journal(db, "bank:7") is None
            assert get_account(db, "A:bank") == 0


def test_the_database_refuses_a_posting_slipped_into_an_old_journal(databases: Databases) -> None:
    with books(databases) as database:
        with database.unit() as db:
            give(db, "t_1", 100)
            give(db, "t_2", 100, src="bank:2")

        with pytest.raises(DBAPIError), database.unit() as db:
            db.execute(text(SLIPPED_IN))

        with database.reading() as db:
            assert verify(db).problems == ()


def test_a_top_up_first_pays_what_is_owed(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        change_credit_limit(db, "t_1", 50)
        _use(db, "log:1", 30)

        give(db, "t_1", 100)

        balance = get_balance(db, "t_1")
        assert (balance.wallet, balance.owed, balance.total) == (70, 0, 70)
        assert [line.micros for line in list_lines(db, "t_1")] == [100, -30]
        assert [line.balance_after for line in list_lines(db, "t_1")] == [70, -30]


def test_a_payment_of_a_taxed_tenant_keeps_the_tax_apart(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        db.execute(text("INSERT INTO tax_rate VALUES ('t_1', 'DE', 1900, 1)"))

        give(db, "t_1", 119_000_000)
        credit_payment(
            db, "t_1", src="pi_1", micros=59_500_000, into="A:stripe", memo="Card", ref="", now_ms=2
        )

        assert get_balance(db, "t_1").wallet == 150_000_000
        assert get_account(db, "L:tax:DE") == -28_500_000
        assert get_account(db, "A:stripe") == 59_500_000


def test_a_payment_is_noted_once(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        for _ in range(2):
            add_funds(db, "t_1", src="bank:9", micros=4, memo="Transfer", now_ms=1)

        assert get_balance(db, "t_1").wallet == 4


def _use(db: Db, src: str, micros: int, at_ms: int = 2) -> None:
    charge = UsageCharge(by_class={"gpu": micros}, charged=micros, overrun=0, late=0)
    journal = usage(src=src, at_ms=at_ms, purse=get_purse(db, "t_1"), charge=charge)
    assert post(db, journal) is not None


def _post_unchecked(db: Db, src: str, postings: list[tuple[str, int]]) -> None:
    journal_id = insert_journal(db, Journal(src, "top_up", 1, ()))
    assert journal_id is not None
    insert_postings(db, journal_id, postings)


SLIPPED_IN = (
    "INSERT INTO posting (journal_id, account, micros) "
    "SELECT id, 'L:wallet:t_2', -9 FROM journal WHERE src = 'bank:1'"
)
REPLACED = (
    "INSERT OR REPLACE INTO posting (journal_id, account, micros) "
    "SELECT journal_id, account, micros * 2 FROM posting"
)


def test_what_was_posted_cannot_be_replaced_or_truncated(databases: Databases) -> None:
    with books(databases) as database:
        with database.unit() as db:
            give(db, "t_1", 100)
        change = REPLACED if database.is_sqlite else "TRUNCATE posting"

        with pytest.raises(DBAPIError, match="append-only"), database.unit() as db:
            db.execute(text(change))


@pytest.mark.parametrize("micros", [-1, 0, TOP_UP_MICROS_MAX + 1])
def test_a_payment_of_nothing_or_beyond_all_bounds_is_refused(
    databases: Databases, micros: int
) -> None:
    with books(databases) as database:
        with database.unit() as db, pytest.raises(Refusal, match="amount_out_of_range"):
            add_funds(db, "t_1", src="bank:7", micros=micros, memo="Transfer", now_ms=1)

        with database.reading() as db:
            assert find_journal(db, "bank:7") is None


def test_a_payment_noted_again_is_done_once_and_with_another_amount_is_refused(
    databases: Databases,
) -> None:
    with books(databases) as database, database.unit() as db:
        first = add_funds(db, "t_1", src="bank:7", micros=5, memo="Transfer 7", now_ms=1)
        again = add_funds(db, "t_1", src="bank:7", micros=5, memo="Transfer 7", now_ms=2)
        for tenant_id, micros in (("t_1", 6), ("t_2", 5)):
            with pytest.raises(Refusal, match="reference_used"):
                add_funds(db, tenant_id, src="bank:7", micros=micros, memo="Transfer 7", now_ms=3)

        assert first is not None
        assert again is None
        assert (get_balance(db, "t_1").wallet, get_balance(db, "t_2").wallet) == (5, 0)

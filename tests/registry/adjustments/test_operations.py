"""What operators and time do to the books is one journal each, done once, exact and audited."""

import pytest
from sqlalchemy import text

from protocol.refusal import Refusal
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
    write_off,
)
from registry.adjustments.shares import DISPUTE_WINDOW_MS
from registry.ledger.operations import post, verify
from registry.ledger.postings import UsageCharge, usage
from registry.ledger.queries import (
    change_held,
    find_journal,
    get_account,
    get_balance,
    get_purse,
    list_lines,
)
from registry.store.database import Db
from registry.tenants.roles import console
from tests.registry.books import books, give
from tests.services.databases import Databases

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = 498_648 * HOUR_MS
MATURE_MS = START_MS + DISPUTE_WINDOW_MS + HOUR_MS
WHO = console()


def test_usage_is_taken_from_the_grant_that_expires_first(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        for grant, expires_at_ms in (("late", 9_000), ("soon", 5_000), ("never", None)):
            assert _grant(db, grant, 10, expires_at_ms)

        _use(db, "log:1", 25)

        assert [name for name, _ in get_purse(db, "t_1").promos] == ["L:promo:t_1:never"]
        balance = get_balance(db, "t_1")
        assert (balance.promo, balance.wallet, balance.total) == (5, 100, 105)


def test_a_grant_is_given_once_and_expires_into_breakage(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        assert _grant(db, "welcome", 10, 5_000)
        assert _grant(db, "welcome", 10, 5_000) is None
        _use(db, "log:1", 4)

        assert expire_grants(db, now_ms=4_999) == 0
        assert expire_grants(db, now_ms=5_000) == 1
        assert expire_grants(db, now_ms=5_001) == 0

        assert get_balance(db, "t_1").promo == 0
        assert get_account(db, "I:breakage") == -6
        assert list_lines(db, "t_1")[0].kind == "expiry"


def test_what_a_lease_was_promised_expires_only_when_the_lease_has_ended(
    databases: Databases,
) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 3)
        assert _grant(db, "welcome", 10, 5_000)
        assert change_held(db, "t_1", 8)

        assert expire_grants(db, now_ms=5_000) == 1
        balance = get_balance(db, "t_1")
        assert (balance.promo, balance.available) == (5, 0)

        assert change_held(db, "t_1", -8)
        assert expire_grants(db, now_ms=6_000) == 1
        assert get_balance(db, "t_1").total == 3


@pytest.mark.parametrize("name", ["", "Welcome", "a:b", "x" * 41, "-x"])
def test_a_grant_s_name_is_plain(databases: Databases, name: str) -> None:
    with (
        books(databases) as database,
        database.unit() as db,
        pytest.raises(Refusal, match="grant_invalid"),
    ):
        _grant(db, name, 10, None)


def test_a_grant_does_not_expire_before_it_is_given(databases: Databases) -> None:
    with (
        books(databases) as database,
        database.unit() as db,
        pytest.raises(Refusal, match="expiry_past"),
    ):
        _grant(db, "welcome", 10, 1)


def test_a_reversal_gives_the_money_back_once(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        _use(db, "log:1", 40)

        assert _undo(db, "log:1") is not None
        assert _undo(db, "log:1") is None

        assert get_balance(db, "t_1").total == 100
        undone = find_journal(db, "undo:log:1")
        assert undone is not None
        assert undone.ref == "log:1"


def test_a_payment_that_was_noted_wrongly_is_owed_where_it_was_spent(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        _use(db, "log:1", 40)

        assert _undo(db, "bank:1") is not None

        balance = get_balance(db, "t_1")
        assert (balance.wallet, balance.owed, balance.total) == (0, 40, -40)
        assert get_account(db, "A:bank") == 0
        assert verify(db).problems == ()


def test_usage_that_was_owed_and_is_undone_after_it_was_paid_is_in_the_wallet(
    databases: Databases,
) -> None:
    with books(databases) as database, database.unit() as db:
        set_credit(db, "t_1", 50, actor=WHO, now_ms=1)
        _use(db, "log:1", 40)
        give(db, "t_1", 100)

        assert _undo(db, "log:1") is not None

        balance = get_balance(db, "t_1")
        assert (balance.wallet, balance.owed) == (100, 0)


def test_a_grant_that_was_spent_in_part_is_not_undone(databases: Databases) -> None:
    with books(databases) as database:
        with database.unit() as db:
            _grant(db, "welcome", 10, None)
            _use(db, "log:1", 4)
        with pytest.raises(Refusal, match="spent_already"), database.unit() as db:
            _undo(db, "promo:t_1:welcome")

        with database.reading() as db:
            assert get_balance(db, "t_1").promo == 6
            assert verify(db).problems == ()


@pytest.mark.parametrize(
    ("src", "code"), [("undo:log:1", "not_reversible"), ("log:9", "journal_unknown")]
)
def test_what_is_not_an_operator_s_is_not_undone(databases: Databases, src: str, code: str) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        _use(db, "log:1", 40)
        _undo(db, "log:1")

        with pytest.raises(Refusal, match=code):
            _undo(db, src)


def test_shares_mature_hour_by_hour_after_the_dispute_window(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        _use(db, "log:1", 40, at_ms=START_MS, share=28)
        _use(db, "log:2", 10, at_ms=START_MS + HOUR_MS, share=7)

        assert mature_shares(db, now_ms=MATURE_MS - 1) == 0
        assert mature_shares(db, now_ms=MATURE_MS) == 1
        assert mature_shares(db, now_ms=MATURE_MS) == 0
        assert (_held(db), _payable(db)) == (7, 28)

        assert mature_shares(db, now_ms=MATURE_MS + HOUR_MS) == 1
        assert (_held(db), _payable(db)) == (0, 35)


def test_a_share_undone_before_it_matured_never_matures(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        _use(db, "log:1", 40, at_ms=START_MS, share=28)
        _use(db, "log:2", 10, at_ms=START_MS, share=7)
        _undo(db, "log:1", at_ms=START_MS + DAY_MS)

        assert mature_shares(db, now_ms=MATURE_MS) == 1
        assert mature_shares(db, now_ms=MATURE_MS + 30 * DAY_MS) == 0

        assert (_held(db), _payable(db)) == (0, 7)


def test_a_share_undone_after_it_matured_is_taken_back(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        _use(db, "log:1", 40, at_ms=START_MS, share=28)
        mature_shares(db, now_ms=MATURE_MS)

        _undo(db, "log:1", at_ms=MATURE_MS + 1)

        assert (_held(db), _payable(db)) == (0, 0)
        assert get_account(db, "X:siteshare") == 0
        assert get_balance(db, "t_1").total == 100


def test_what_a_site_owes_is_taken_from_what_matures_next(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        _use(db, "log:1", 40, at_ms=START_MS, share=28)
        for _ in range(2):
            claw_back(db, "s_1", 5, memo="False", key="case-1", actor=WHO, now_ms=START_MS)
        assert get_account(db, "A:siterecv:s_1") == 5

        mature_shares(db, now_ms=MATURE_MS)

        assert get_account(db, "A:siterecv:s_1") == 0
        assert _payable(db) == 23


def test_a_long_silence_matures_in_bounded_steps(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        for day in range(3):
            _use(db, f"log:{day}", 10, at_ms=START_MS + day * DAY_MS, share=7)

        passes = [mature_shares(db, now_ms=MATURE_MS + 30 * DAY_MS) for _ in range(4)]

        assert passes == [1, 1, 1, 0]
        assert _payable(db) == 21


def test_a_charge_is_set_right_with_its_share(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        _use(db, "log:1", 40, at_ms=START_MS, share=28)

        assert _right(db, "log:1", {"gpu": 15})
        assert _right(db, "log:1", {"gpu": 15}) is None

        assert get_balance(db, "t_1").total == 85
        assert _held(db) == 10
        assert get_account(db, "I:usage:gpu") == -15
        assert [line.kind for line in list_lines(db, "t_1")] == [
            "right_entry",
            "correction",
            "usage",
            "top_up",
        ]


@pytest.mark.parametrize("amounts", [{"gpu": 41}, {"inference": 1}, {"gpu": -1}])
def test_a_charge_is_not_set_right_upwards(databases: Databases, amounts: dict[str, int]) -> None:
    with books(databases) as database:
        with database.unit() as db:
            give(db, "t_1", 100)
            _use(db, "log:1", 40)
        with pytest.raises(Refusal, match="amount_out_of_range"), database.unit() as db:
            _right(db, "log:1", amounts)

        with database.reading() as db:
            assert get_balance(db, "t_1").total == 60


def test_a_debt_is_written_off_once_and_never_beyond_what_is_owed(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        set_credit(db, "t_1", 50, actor=WHO, now_ms=1)
        _use(db, "log:1", 40)
        with pytest.raises(Refusal, match="amount_out_of_range"):
            write_off(db, "t_1", 41, memo="Gone", actor=WHO, now_ms=2, key="a")

        for _ in range(2):
            write_off(db, "t_1", 40, memo="Gone", actor=WHO, now_ms=2, key="a")

        assert get_balance(db, "t_1").owed == 0
        assert get_account(db, "X:baddebt") == 40


def test_no_more_is_paid_back_than_the_wallet_holds_free(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        assert change_held(db, "t_1", 60)
        with pytest.raises(Refusal, match="balance_too_low"):
            refund_by_bank(db, "t_1", 41, reference="r1", actor=WHO, now_ms=2)

        for _ in range(2):
            refund_by_bank(db, "t_1", 40, reference="r1", actor=WHO, now_ms=2)

        assert get_balance(db, "t_1").available == 0
        assert get_account(db, "A:bank") == 60


def test_tax_holds_for_later_payments_and_a_rate_of_nothing_ends_it(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        set_tax(db, "t_1", jurisdiction="DE", basis_points=1_900, actor=WHO, now_ms=1)
        give(db, "t_1", 119_000_000)
        set_tax(db, "t_1", jurisdiction="DE", basis_points=0, actor=WHO, now_ms=2)
        give(db, "t_1", 1_000_000, src="bank:2")

        assert get_account(db, "L:tax:DE") == -19_000_000
        assert get_balance(db, "t_1").wallet == 101_000_000


@pytest.mark.parametrize(
    ("jurisdiction", "rate", "code"),
    [("de", 1, "jurisdiction_invalid"), ("DE", -1, "rate"), ("DE", 10_001, "rate")],
)
def test_a_tax_that_cannot_be_is_refused(
    databases: Databases, jurisdiction: str, rate: int, code: str
) -> None:
    with books(databases) as database, database.unit() as db, pytest.raises(Refusal, match=code):
        set_tax(db, "t_1", jurisdiction=jurisdiction, basis_points=rate, actor=WHO, now_ms=1)


def test_each_act_of_an_operator_is_audited_once(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 100)
        _use(db, "log:1", 40)
        for _ in range(2):
            _grant(db, "welcome", 10, None)
            _undo(db, "log:1")
        set_credit(db, "t_1", 5, actor=WHO, now_ms=3)
        set_tax(db, "t_1", jurisdiction="US-CA", basis_points=725, actor=WHO, now_ms=3)

        actions = [row.action for row in db.rows(text("SELECT action FROM audit_event"))]

    assert actions == [
        "ledger.promo",
        "ledger.correction",
        "ledger.credit_limit",
        "ledger.tax_rate",
    ]


def _grant(db: Db, grant: str, micros: int, expires_at_ms: int | None) -> int | None:
    return grant_promo(
        db, "t_1", grant=grant, micros=micros, expires_at_ms=expires_at_ms, memo="Welcome",
        actor=WHO, now_ms=1,
    )  # fmt: skip


def _use(db: Db, src: str, micros: int, at_ms: int = 2, share: int = 0) -> None:
    charge = UsageCharge(
        by_class={"gpu": micros}, charged=micros, overrun=0, late=0, share=share, site_id="s_1"
    )
    journal = usage(src=src, at_ms=at_ms, purse=get_purse(db, "t_1"), charge=charge)
    assert post(db, journal) is not None


def _undo(db: Db, src: str, at_ms: int = 9) -> int | None:
    return reverse(db, src, memo="Wrong price", actor=WHO, now_ms=at_ms)


def _right(db: Db, src: str, amounts: dict[str, int]) -> int | None:
    return set_right(
        db, src, amounts, share_basis_points=7_000, memo="Wrong price", actor=WHO,
        now_ms=START_MS + 1,
    )  # fmt: skip


def _held(db: Db) -> int:
    return -get_account(db, "L:sitehold:s_1")


def _payable(db: Db) -> int:
    return -get_account(db, "L:site:s_1")

"""Leases under every order of events: never more promised than granted, closed once, for good."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.leases import queries
from agent.leases.operations import (
    close_ended,
    find_backing,
    list_verdicts,
    release,
    replace_leases,
    reserve,
    roll_over,
    settle,
)
from agent.store.database import Db
from agent.usage_log.operations import append
from agent.usage_log.queries import each_entry
from protocol.lease import Lease
from protocol.refusal import Refusal
from protocol.usage import LeaseClosed, read_entry
from tests.fakes.agent_store import migrated

HOUR_MS = 3_600_000


def test_work_is_backed_by_the_lease_that_ends_first(db: Db) -> None:
    _answer(db, Lease(1, "t_1", 100, 2 * HOUR_MS), Lease(2, "t_1", 100, HOUR_MS))

    with db.unit():
        assert _reserve(db, "call", 10) == 2


def test_a_lease_without_room_is_passed_over_and_none_is_a_refusal(db: Db) -> None:
    _answer(db, Lease(1, "t_1", 100, HOUR_MS), Lease(2, "t_1", 500, 2 * HOUR_MS))
    with db.unit():
        assert _reserve(db, "small", 80) == 1
        assert _reserve(db, "large", 300) == 2

    with pytest.raises(Refusal) as refused, db.unit():
        _reserve(db, "larger", 300)

    assert (refused.value.status, refused.value.limit_source) == (402, "site_lease")


def test_settling_frees_what_was_not_needed(db: Db) -> None:
    _answer(db, Lease(1, "t_1", 100, HOUR_MS))
    with db.unit():
        _reserve(db, "call", 80)
        assert settle(db, "call", actual=30) == 1

    with db.unit():
        assert _reserve(db, "next", 70) == 1


def test_usage_beyond_the_lease_is_counted_up_to_its_amount(db: Db) -> None:
    _answer(db, Lease(1, "t_1", 100, HOUR_MS))

    with db.unit():
        _reserve(db, "call", 80)
        settle(db, "call", actual=300)

    (spend,) = queries.list_lease_spend(db)
    assert (spend.spent, spend.reserved) == (100, 0)


def test_a_reservation_given_back_spends_nothing(db: Db) -> None:
    _answer(db, Lease(1, "t_1", 100, HOUR_MS))

    with db.unit():
        _reserve(db, "call", 80)
        assert release(db, "call")
        assert not release(db, "call")

    assert queries.list_lease_spend(db)[0].reserved == 0


def test_a_lease_that_an_answer_leaves_out_is_recalled_and_closed_after_its_last_use(
    db: Db,
) -> None:
    _answer(db, Lease(1, "t_1", 100, HOUR_MS))
    with db.unit():
        _reserve(db, "call", 80)
    _answer(db)

    assert _close(db) == 0
    with db.unit():
        settle(db, "call", actual=5)
    assert _close(db) == 1
    assert _close(db) == 0

    (closed,) = _closed_entries(db)
    assert (closed.lease_id, closed.spent, closed.reason) == (1, 5, "recalled")


def test_a_closed_lease_that_is_listed_again_stays_closed_and_is_reported_so(db: Db) -> None:
    _answer(db, Lease(1, "t_1", 100, HOUR_MS))
    assert _close(db, boot_ms=HOUR_MS) == 1

    _answer(db, Lease(1, "t_1", 100, HOUR_MS))

    with pytest.raises(Refusal), db.unit():
        _reserve(db, "call", 1)
    assert [spend.closed for spend in queries.list_lease_spend(db)] == [True]
    _answer(db)
    assert queries.list_lease_spend(db) == []


def test_after_a_reboot_a_lease_backs_nothing_until_an_answer_names_it(db: Db) -> None:
    _answer(db, Lease(1, "t_1", 100, HOUR_MS))

    with pytest.raises(Refusal), db.unit():
        _reserve(db, "call", 1, boot_id="second")
    assert _close(db, boot_id="second") == 0

    _answer(db, Lease(1, "t_1", 100, HOUR_MS), boot_id="second")
    with db.unit():
        assert _reserve(db, "call", 1, boot_id="second") == 1


def test_running_work_rolls_over_to_the_next_lease(db: Db) -> None:
    _answer(db, Lease(1, "t_1", 100, HOUR_MS), Lease(2, "t_1", 100, 2 * HOUR_MS))

    assert _roll(db, actual=0, worst=60)
    assert _backing(db) == 1
    assert _roll(db, actual=60, worst=60)

    assert _backing(db) == 2
    assert [spend.spent for spend in queries.list_lease_spend(db)] == [0, 60]


def test_work_that_no_lease_covers_stops_its_tenant_and_keeps_its_lease_open(db: Db) -> None:
    _answer(db, Lease(1, "t_1", 100, HOUR_MS))
    assert _roll(db, actual=0, worst=60)
    assert _verdict_may_continue(db)

    assert not _roll(db, actual=60, worst=60)

    assert not _verdict_may_continue(db)
    assert _backing(db) == 1
    assert _close(db) == 0
    with db.unit():
        settle(db, "a_1", actual=20)
    assert _close(db) == 1
    (closed,) = _closed_entries(db)
    assert (closed.spent, closed.reason) == (80, "spent")


def test_a_lease_with_too_little_for_work_is_not_a_reason_to_start_it(db: Db) -> None:
    _answer(db, Lease(1, "t_1", 10, HOUR_MS))

    assert not _roll(db, actual=0, worst=60)

    assert not _verdict_may_continue(db)
    with db.unit():
        release(db, "a_1")
    assert not _verdict_may_continue(db)


def test_a_larger_amount_makes_an_exhausted_lease_usable_again(db: Db) -> None:
    _answer(db, Lease(1, "t_1", 10, HOUR_MS))
    _roll(db, actual=0, worst=60)

    _answer(db, Lease(1, "t_1", 100, HOUR_MS))

    assert _roll(db, actual=0, worst=60)
    assert _verdict_may_continue(db)


class Leases(RuleBasedStateMachine):
    """Answers, work, time and reboots in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        folder = self.resources.enter_context(tempfile.TemporaryDirectory())
        self.db = self.resources.enter_context(migrated(Path(folder)))
        self.boot_ms, self.boots = 0, 0
        self.holders: set[str] = set()
        self.spent_when_closed: dict[int, int] = {}

    def teardown(self) -> None:
        self.resources.close()

    @property
    def boot_id(self) -> str:
        return f"boot{self.boots}"

    @rule(
        leases=st.lists(
            st.tuples(st.integers(1, 6), st.integers(1, 200), st.integers(0, 5_000)),
            unique_by=lambda lease: lease[0],
            max_size=4,
        )
    )
    def answer(self, leases: list[tuple[int, int, int]]) -> None:
        stated = [Lease(at, f"t_{at % 2}", amount, life) for at, amount, life in leases]
        with self.db.unit():
            replace_leases(self.db, stated, sent_boot_ms=self.boot_ms, boot_id=self.boot_id)

    @rule(holder=st.sampled_from("abc"), worst=st.integers(0, 150), tenant=st.integers(0, 1))
    def begin(self, holder: str, worst: int, tenant: int) -> None:
        try:
            with self.db.unit():
                reserve(
                    self.db,
                    holder,
                    tenant_id=f"t_{tenant}",
                    worst=worst,
                    boot_id=self.boot_id,
                    boot_ms=self.boot_ms,
                )
        except Refusal:
            return
        self.holders.add(holder)

    @precondition(lambda self: self.holders)
    @rule(data=st.data(), actual=st.integers(0, 300))
    def finish(self, data: st.DataObject, actual: int) -> None:
        holder = data.draw(st.sampled_from(sorted(self.holders)))
        with self.db.unit():
            settle(self.db, holder, actual=actual)
        self.holders.discard(holder)

    @rule(holder=st.sampled_from("xy"), actual=st.integers(0, 90), worst=st.integers(0, 90))
    def go_on(self, holder: str, actual: int, worst: int) -> None:
        with self.db.unit():
            roll_over(
                self.db,
                holder,
                tenant_id="t_0",
                actual=actual,
                worst=worst,
                boot_id=self.boot_id,
                boot_ms=self.boot_ms,
            )
            if find_backing(self.db, holder) is not None:
                self.holders.add(holder)

    @rule(passed=st.integers(0, 3_000))
    def time_passes(self, passed: int) -> None:
        self.boot_ms += passed

    @rule()
    def reboot(self) -> None:
        self.boots, self.boot_ms = self.boots + 1, 0

    @rule()
    def close(self) -> None:
        with self.db.unit():
            closed = close_ended(self.db, boot_id=self.boot_id, boot_ms=self.boot_ms, now_ms=0)
            append(self.db, closed)

    @invariant()
    def no_lease_promises_more_than_its_amount_and_closed_ones_never_spend(self) -> None:
        for row in self.db.rows("SELECT * FROM lease", {}):
            assert row["spent"] >= 0
            assert row["reserved"] >= 0
            assert row["spent"] + row["reserved"] <= row["amount"]
            if row["closed"]:
                before = self.spent_when_closed.setdefault(row["lease_id"], row["spent"])
                assert row["spent"] == before

    @invariant()
    def what_is_set_aside_is_what_the_reservations_say(self) -> None:
        wrong = self.db.rows(
            """
            SELECT lease_id FROM lease WHERE reserved != (
                SELECT coalesce(sum(worst), 0) FROM reservation
                WHERE reservation.lease_id = lease.lease_id
            )
            """,
            {},
        )
        assert wrong == []

    @invariant()
    def every_closing_stands_in_the_log_once(self) -> None:
        closed = self.db.rows("SELECT lease_id, spent FROM lease WHERE closed = 1", {})
        entries = _closed_entries(self.db)
        assert sorted((entry.lease_id, entry.spent) for entry in entries) == sorted(
            (row["lease_id"], row["spent"]) for row in closed
        )


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Db]:
    with migrated(tmp_path) as opened:
        yield opened


def _answer(db: Db, *leases: Lease, boot_id: str = "first") -> None:
    with db.unit():
        replace_leases(db, leases, sent_boot_ms=0, boot_id=boot_id)


def _reserve(db: Db, holder: str, worst: int, *, boot_id: str = "first") -> int:
    return reserve(db, holder, tenant_id="t_1", worst=worst, boot_id=boot_id, boot_ms=0).lease_id


def _roll(db: Db, *, actual: int, worst: int) -> bool:
    with db.unit():
        return roll_over(
            db, "a_1", tenant_id="t_1", actual=actual, worst=worst, boot_id="first", boot_ms=0
        )


def _backing(db: Db) -> int | None:
    return find_backing(db, "a_1")


def _verdict_may_continue(db: Db) -> bool:
    return list_verdicts(db, ["t_1"], boot_id="first", boot_ms=0)["t_1"].may_continue


def _close(db: Db, *, boot_ms: int = 0, boot_id: str = "first") -> int:
    with db.unit():
        closed = close_ended(db, boot_id=boot_id, boot_ms=boot_ms, now_ms=5)
        append(db, closed)
        return len(closed)


def _closed_entries(db: Db) -> list[LeaseClosed]:
    entries = [read_entry(stored.entry) for stored in each_entry(db, 0)]
    return [entry for entry in entries if isinstance(entry, LeaseClosed)]

"""A batch is taken in whole and once, or not at all; and can be proved afterwards."""

from collections.abc import Callable

import pytest
from msgspec import structs
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from protocol.checkpoint import Checkpoint, read_checkpoint, signed_checkpoint
from protocol.fork_evidence import verify_evidence
from protocol.packing import packed_entries
from protocol.sync import LogBatch
from protocol.usage import Heartbeat, entry_bytes
from registry.leases.queries import find_lease
from registry.ledger.operations import verify
from registry.ledger.queries import get_balance, list_accounts, list_lines
from registry.log_events.queries import find_evidence
from registry.store.database import Db
from registry.usage.operations import standing_answer
from registry.usage.queries import cost_by_owner, find_latest_log, usage_by_day
from tests.registry.books import give
from tests.registry.recording import (
    DOMAIN,
    IDENTITY,
    NODE_KEY,
    NOW_MS,
    OTHER_KEY,
    START_MS,
    Desk,
    Recorder,
    desk,
    lease_closed,
    minutes,
    node_with_lease,
    opened,
    tokens,
)
from tests.services.databases import Databases

DAY_MS = 86_400_000
TABLES = (
    "account", "journal", "posting", "lease", "stream", "opening", "accelerator_use",
    "stream_hour", "log_bundle", "log_tail", "log_subtree",
)  # fmt: skip
UNIT = 1_000_000


def test_a_batch_is_rated_posted_and_cosigned(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(
            opened("a_1", "GPU-1"), *minutes(10, lease_id=1), tokens(9, before=0, lease_id=1)
        )

        answer = here.take(node.batch())

        assert (answer.size, answer.problem) == (12, None)
        assert answer.cosignature is not None
        charged = 600_000 * 2_500_000 // 3_600_000 + 9 * 150_001 // 1_000_000
        with here.database.reading() as db:
            accounts = {name: row.balance for name, row in list_accounts(db).items()}
            assert accounts == {
                "A:bank": 50 * UNIT,
                "L:wallet:t_1": charged - 50 * UNIT,
                "I:usage:gpu": -416_666,
                "I:usage:inference": -1,
                "X:siteshare": 416_666 * 7_000 // 10_000,
                "L:sitehold:s_1": -(416_666 * 7_000 // 10_000),
            }
            balance = get_balance(db, "t_1")
            lease = find_lease(db, 1)
            assert lease is not None
            assert lease.settled == charged
            assert balance.held == lease.remaining
            assert verify(db).problems == ()
            assert cost_by_owner(db, ["a_1", "k_1", "a_2"]) == {"a_1": 416_666, "k_1": 1}
            assert usage_by_day(db, "t_1", from_ms=0, to_ms=NOW_MS) == {
                START_MS - START_MS % DAY_MS: charged
            }


def test_a_line_names_what_it_charges(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), *minutes(2, lease_id=1))
        here.take(node.batch())

        line = here.within(lambda db: list_lines(db, "t_1"))[0]

    assert (line.ref, line.memo, line.meter, line.quantity) == (
        "a_1", "h200.1x", "gpu.ms", 120_000,
    )  # fmt: skip
    assert line.micros == -83_333


def test_the_same_batch_again_changes_nothing_and_gets_the_same_cosignature(
    databases: Databases,
) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), *minutes(3, lease_id=1))
        first = here.take(node.batch())
        before = _everything(here)
        here.now_ms += 60_000

        again = here.take(node.batch())

        assert again == first
        assert _everything(here) == before


def test_a_batch_that_overlaps_adds_only_what_is_new(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), *minutes(9, lease_id=1))
        here.take(node.batch(0, 5))

        answer = here.take(node.batch(2))

        assert answer.size == 10
        assert here.within(lambda db: cost_by_owner(db, ["a_1"])) == {"a_1": 375_000}


def test_a_shorter_batch_of_the_same_log_is_answered_with_the_size(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), *minutes(9, lease_id=1))
        here.take(node.batch())

        answer = here.take(node.batch(0, 4))

        assert (answer.size, answer.cosignature, answer.problem) == (10, None, None)


def test_a_batch_beyond_our_size_is_answered_with_the_size(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), *minutes(9, lease_id=1))

        answer = here.take(node.batch(4))

        assert (answer.size, answer.problem) == (0, None)
        assert here.take(node.batch()).size == 10


@pytest.mark.parametrize("at", [0, 1, 5, 9])
def test_a_byte_flipped_in_a_stored_entry_is_refused_and_nothing_posted(
    databases: Databases, at: int
) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), *minutes(9, lease_id=1))
        here.take(node.batch(0, 3))
        before = _everything(here)
        sent = node.batch()
        altered = list(node.entries)
        altered[at] = altered[at].replace(b"t_1", b"t_3")

        answer = here.take(replace_entries(sent, altered))

        assert answer.problem is not None
        assert answer.problem.code == ("entry_altered" if at < 3 else "checkpoint_root")
        assert _everything(here) == before
        assert here.take(node.batch()).size == 10


TAMPERINGS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "dropped": lambda entries: entries[:4] + entries[5:] + [b"{}"],
    "inserted": lambda entries: [*entries[:4], entries[4], *entries[4:-1]],
    "reordered": lambda entries: [*entries[:4], entries[5], entries[4], *entries[6:]],
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_entries_moved_about_are_refused(databases: Databases, name: str) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), *minutes(9, lease_id=1))
        sent = node.batch()

        answer = here.take(replace_entries(sent, TAMPERINGS[name](node.entries)))

        assert answer.problem is not None
        assert (answer.size, answer.problem.code) == (0, "checkpoint_root")


@pytest.mark.parametrize(
    ("code", "spoil"),
    [
        ("checkpoint_size", lambda node: replace_note(node, node.note(2))),
        ("checkpoint_signature", lambda node: replace_note(node, _forged(node))),
        (
            "checkpoint_origin",
            lambda node: replace_note(
                node,
                signed_checkpoint(Checkpoint("cloud.example/log/n_2/0", 4, bytes(32)), NODE_KEY),
            ),
        ),
        ("note_malformed", lambda node: replace_note(node, "no note")),
        ("log_epoch", lambda node: _with_epoch(node.batch(), 1)),
    ],
)
def test_a_checkpoint_that_is_not_this_log_s_is_refused(
    databases: Databases, code: str, spoil: Callable[[Recorder], LogBatch]
) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), *minutes(3, lease_id=1))

        answer = here.take(spoil(node))

        assert answer.problem is not None
        assert (answer.size, answer.problem.code) == (0, code)
        assert here.take(node.batch()).size == 4


@pytest.mark.parametrize("size", [3, 5, 6])
def test_a_second_log_of_the_same_node_freezes_it_and_both_notes_are_kept(
    databases: Databases, size: int
) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), *minutes(4, lease_id=1))
        here.take(node.batch())
        accepted = node.note(5)
        other = Recorder(entries=list(node.entries))
        other.entries[2] = entry_bytes(Heartbeat(at_ms=START_MS, boottime_ms=1, skew_ms=0))
        other.record(Heartbeat(at_ms=START_MS, boottime_ms=2, skew_ms=0))
        before = _everything(here)

        answer = here.take(other.batch(0, size))

        assert answer.problem is not None
        assert (answer.size, answer.problem.code) == (5, "log_forked")
        log = here.within(lambda db: find_latest_log(db, "n_1"))
        assert log is not None
        assert (log.state, log.checkpoint) == ("frozen", accepted)
        fork = verify_evidence(log.evidence)
        assert (fork.origin, fork.shorter_size, fork.longer_size) == (
            log.origin, min(size, 5), max(size, 5),
        )  # fmt: skip
        assert here.within(lambda db: find_evidence(db, "n_1")) == log.evidence
        assert _everything(here) == before
        again = here.take(node.batch())
        assert again.problem is not None
        assert again.problem.code == "log_frozen"


def test_a_rule_broken_in_the_middle_of_a_batch_posts_nothing_of_it(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        first, second, _, fourth = minutes(4, lease_id=1)
        node.record(opened("a_1", "GPU-1"), first, second, fourth)
        before = _everything(here)

        answer = here.take(node.batch())

        assert answer.problem is not None
        assert answer.problem.code == "cumulative_broken"
        assert "entry 3" in answer.problem.message
        assert _everything(here) == before
        standing = here.within(lambda db: standing_answer(db, IDENTITY, domain=DOMAIN))
        assert standing.problem == answer.problem


def test_a_refused_batch_undoes_nothing_else_of_its_unit(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(*minutes(1, lease_id=1))

        def work(db: Db) -> None:
            give(db, "t_9", 7, src="bank:other")
            answer = here.take_in(db, node.batch())
            assert answer.problem is not None

        here.within(work)

        assert here.within(lambda db: get_balance(db, "t_9")).wallet == 7


def test_an_unknown_kind_parks_the_log_until_it_is_known(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(b'{"k":"future","v":1}')

        answer = here.take(node.batch())

        assert answer.problem is not None
        assert answer.problem.code == "entry_unknown_kind"
        log = here.within(lambda db: find_latest_log(db, "n_1"))
        assert log is not None
        assert (log.state, log.problem_at_ms) == ("parked", NOW_MS)


def test_a_log_parked_for_its_clock_goes_on_when_the_time_has_come(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), *minutes(2, lease_id=1))
        here.now_ms = START_MS - 1_000_000
        refused = here.take(node.batch())
        here.now_ms = NOW_MS

        answer = here.take(node.batch())

        assert refused.problem is not None
        assert refused.problem.code == "entry_future"
        assert (answer.size, answer.problem) == (3, None)
        log = here.within(lambda db: find_latest_log(db, "n_1"))
        assert log is not None
        assert (log.state, log.problem_code, log.problem_at_ms) == ("open", "", None)


def test_a_log_parked_by_a_damaged_batch_is_open_again_when_all_is_repeated(
    databases: Databases,
) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), *minutes(2, lease_id=1))
        true = here.take(node.batch())
        damaged = here.take(replace_note(node, "no note"))
        assert damaged.problem is not None

        assert here.take(node.batch()) == true

        standing = here.within(lambda db: standing_answer(db, IDENTITY, domain=DOMAIN))
        assert (standing.problem, standing.size) == (None, 3)


def test_a_closed_lease_gives_back_what_is_left(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), *minutes(2, lease_id=1), lease_closed(1))

        here.take(node.batch())

        balance = here.within(lambda db: get_balance(db, "t_1"))
        assert (balance.held, balance.total) == (0, 50 * UNIT - 83_333)


def test_usage_of_a_closed_lease_is_ours(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), lease_closed(1), *minutes(1, lease_id=1))

        here.take(node.batch())

        accounts = here.within(list_accounts)
        assert accounts["X:late"].balance == 41_666
        assert accounts["L:wallet:t_1"].balance == -50 * UNIT


@pytest.mark.parametrize("table", ["log_bundle", "log_subtree"])
def test_sealed_entries_cannot_be_changed(databases: Databases, table: str) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(*(Heartbeat(at_ms=START_MS, boottime_ms=at, skew_ms=0) for at in range(256)))
        here.take(node.batch())

        with pytest.raises(DBAPIError, match="append-only"):
            here.within(lambda db: db.execute(text(f"DELETE FROM {table}")))


def replace_entries(batch: LogBatch, entries: list[bytes]) -> LogBatch:
    return structs.replace(batch, entries=packed_entries(entries))


def replace_note(node: Recorder, note: str) -> LogBatch:
    batch = node.batch()
    return LogBatch(epoch=0, begin=0, entries=batch.entries, checkpoint=note)


def _with_epoch(batch: LogBatch, epoch: int) -> LogBatch:
    return LogBatch(epoch=epoch, begin=0, entries=batch.entries, checkpoint=batch.checkpoint)


def _forged(node: Recorder) -> str:
    checkpoint, _ = read_checkpoint(node.note(4))
    return signed_checkpoint(checkpoint, OTHER_KEY)


def _everything(here: Desk) -> dict[str, list[tuple[object, ...]]]:
    """Every row of money and usage, but for what a log says of its problem."""

    def read(db: Db) -> dict[str, list[tuple[object, ...]]]:
        rows = {name: db.rows(text(f"SELECT * FROM {name}")) for name in TABLES}
        rows["node_log"] = db.rows(
            text("SELECT size, frontier, checkpoint FROM node_log WHERE size > 0")
        )
        return {
            name: sorted((tuple(row) for row in found), key=repr) for name, found in rows.items()
        }

    return here.within(read)

"""The usage log: what is appended is kept, signed in pieces, accepted, and found when changed."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from agent.store.database import Db, open_database
from agent.usage_log import queries
from agent.usage_log.audit import Keys
from agent.usage_log.log_state import BEHIND, BROKEN, DIVERGED, OTHER_EPOCH, REFUSED, Parked
from agent.usage_log.operations import (
    append,
    audit_keys,
    begin_log,
    find_log_fault,
    next_batch,
    note_answer,
    park_broken,
    verify_log,
)
from protocol.checkpoint import Checkpoint, read_signed_checkpoint
from protocol.refusal import Fault
from protocol.sync import LogAnswer, LogBatch, LogProblem
from protocol.usage import Closed, Opened, entry_bytes
from tests.fakes.agent_store import (
    DOMAIN,
    NODE_ID,
    NODE_PUBLIC,
    ORIGIN,
    REGISTRY_PUBLIC,
    WITNESS,
    beat,
    cosign,
    migrated,
    sign,
    use,
)

KEYS = audit_keys(registry_domain=DOMAIN, node=NODE_PUBLIC, witnesses=[REGISTRY_PUBLIC])


def test_the_root_is_that_of_an_independent_tree_over_the_same_bytes(db: Db) -> None:
    entries = [use(0), beat(1), use(1), use(0, owner="a_2"), use(2)]
    tree = InmemoryTree(algorithm="sha256")
    for entry in entries:
        tree.append_entry(entry_bytes(entry))

    with db.unit():
        append(db, entries)

    assert queries.get_log(db).frontier.root() == tree.get_root()


def test_appending_goes_on_where_the_log_ended(db: Db) -> None:
    for at in range(5):
        with db.unit():
            assert append(db, [use(at)]) == at + 1

    assert verify_log(db, KEYS).fault is None


def test_a_record_that_does_not_continue_its_stream_undoes_its_unit(db: Db) -> None:
    with db.unit():
        append(db, [use(0)])

    with pytest.raises(AssertionError, match="begins"):
        _append_in_unit(db, replace(use(2), cumulative=120_000))

    assert queries.get_log(db).frontier.size == 1
    assert verify_log(db, KEYS).fault is None


def test_entries_are_neither_changed_nor_removed_through_the_database(db: Db) -> None:
    _fill(db, 1)

    with pytest.raises(sqlite3.IntegrityError, match="never changed"), db.unit():
        db.write("UPDATE usage_entry SET entry = x'00' WHERE idx = 0", {})
    with pytest.raises(sqlite3.IntegrityError, match="never removed"), db.unit():
        db.write("DELETE FROM usage_entry", {})


def test_beginning_the_same_log_again_changes_nothing(db: Db) -> None:
    _fill(db, 3)

    with db.unit():
        begin_log(db, registry_domain=DOMAIN, node_id=NODE_ID, epoch=0)

    assert queries.get_log(db).frontier.size == 3


def test_the_database_of_another_log_is_refused(db: Db) -> None:
    with pytest.raises(Fault, match="empty data directory"), db.unit():
        begin_log(db, registry_domain=DOMAIN, node_id=NODE_ID, epoch=1)


def test_a_backlog_travels_in_batches_each_under_its_own_checkpoint(db: Db) -> None:
    _fill(db, 10)
    ends = []

    while (batch := _batch(db, entries_max=4)) is not None:
        end = batch.begin + len(batch.entries)
        checkpoint = read_signed_checkpoint(batch.checkpoint, origin=ORIGIN, public_key=NODE_PUBLIC)
        assert checkpoint.size == end
        _accept(db, batch)
        ends.append(end)

    assert ends == [4, 8, 10]
    assert queries.get_log(db).accepted == queries.get_log(db).frontier
    assert verify_log(db, KEYS).fault is None


def test_an_answer_that_got_lost_is_asked_for_again(db: Db) -> None:
    _fill(db, 3)
    lost = _batch(db)
    assert lost is not None
    with db.unit():
        note_answer(db, LogAnswer(epoch=0, size=3), sign, witness=WITNESS, witness_keys=[])

    again = _batch(db)

    assert again == lost


def test_a_registry_that_fell_back_is_sent_what_it_lost(db: Db) -> None:
    _fill(db, 6)
    _accept_all(db)
    with db.unit():
        note_answer(db, LogAnswer(epoch=0, size=2), sign, witness=WITNESS, witness_keys=[])

    batch = _batch(db)

    assert batch is not None
    assert (batch.begin, len(batch.entries)) == (2, 4)
    _accept(db, batch)
    assert _batch(db) is None


def test_nothing_is_signed_when_the_registry_has_more_than_the_node(db: Db) -> None:
    _fill(db, 3)

    with db.unit():
        parked = note_answer(db, LogAnswer(epoch=0, size=9), sign, witness=WITNESS, witness_keys=[])

    assert parked is not None
    assert parked.code == BEHIND
    assert "older copy" in str(find_log_fault(db))
    assert _batch(db) is None
    _fill(db, 12, begin=3)
    with db.unit():
        note_answer(db, LogAnswer(epoch=0, size=9), sign, witness=WITNESS, witness_keys=[])
    assert _batch(db) is None


def test_nothing_is_signed_for_another_epoch(db: Db) -> None:
    _fill(db, 3)

    with db.unit():
        parked = note_answer(db, LogAnswer(epoch=1, size=0), sign, witness=WITNESS, witness_keys=[])

    assert parked is not None
    assert parked.code == OTHER_EPOCH
    assert _batch(db) is None


def test_a_refused_log_is_a_fault_until_it_is_accepted(db: Db) -> None:
    _fill(db, 3)
    problem = LogProblem(code="stream_gap", message="A record is missing.")
    with db.unit():
        parked = note_answer(
            db, LogAnswer(epoch=0, size=0, problem=problem), sign, witness=WITNESS, witness_keys=[]
        )
    assert parked is not None
    assert parked.code == REFUSED
    assert "stream_gap" in str(find_log_fault(db))

    _accept_all(db)

    assert find_log_fault(db) is None


def test_a_cosignature_over_another_log_parks_this_one_for_good(db: Db) -> None:
    _fill(db, 3)
    checkpoint = _checkpoint(db)
    other = LogAnswer(epoch=0, size=3, cosignature=cosign(replace(checkpoint, root=bytes(32))))

    parked = _note(db, other)

    assert parked is not None
    assert parked.code == DIVERGED
    assert _note(db, LogAnswer(epoch=0, size=3, cosignature=cosign(checkpoint))) == parked
    assert _batch(db) is None
    assert queries.get_log(db).accepted.size == 0


def test_a_cosignature_of_a_stranger_moves_nothing(db: Db) -> None:
    _fill(db, 3)
    answer = LogAnswer(epoch=0, size=3, cosignature=cosign(_checkpoint(db)))

    with db.unit():
        parked = note_answer(db, answer, sign, witness=WITNESS, witness_keys=[NODE_PUBLIC])

    assert parked is None
    assert queries.get_log(db).accepted.size == 0
    assert _batch(db) is not None


def test_a_cosignature_heard_without_having_sent_anything_is_taken(db: Db) -> None:
    _fill(db, 3)
    checkpoint = _checkpoint(db)
    _fill(db, 5, begin=3)

    _note(db, LogAnswer(epoch=0, size=3, cosignature=cosign(checkpoint)))

    assert queries.get_log(db).accepted.size == 3
    assert verify_log(db, KEYS).fault is None


def test_an_allocation_that_opens_again_goes_on_later_in_the_same_stream(db: Db) -> None:
    opened = Opened("a_1", "t_1", "p_1", "h200.1x", use(3).begin_ms, "boot", "c", ("GPU-1",))

    with db.unit():
        append(db, [use(0), Closed("a_1", use(1).begin_ms + 5, "ended")])
    with db.unit():
        append(db, [opened])
    with db.unit():
        append(db, [replace(use(3), cumulative=120_000)])

    assert verify_log(db, KEYS).fault is None


@given(st.integers(0, 2**32))
@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_any_flipped_byte_is_found_and_its_entry_named(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    chance = random.Random(seed)
    with migrated(tmp_path_factory.mktemp("flip")) as db:
        _fill(db, chance.randint(1, 40))
        _accept_all(db)
        _fill(db, 45, begin=queries.get_log(db).frontier.size)
        index, kind = chance.randrange(45), chance.choice(["entry", "leaf", "both"])

        _flip(db, index, kind, chance)

        report = verify_log(db, KEYS)
        assert report.fault is not None
        if kind != "both":
            assert report.first_wrong == index


def test_a_missing_entry_is_named(db: Db) -> None:
    _fill(db, 5)

    _unguarded(db, "DELETE FROM usage_entry WHERE idx = 2")

    report = verify_log(db, KEYS)
    assert report.first_wrong == 2
    assert report.fault == "Entry 2 is missing."


def test_an_entry_cut_off_the_end_is_named(db: Db) -> None:
    _fill(db, 5)

    _unguarded(db, "DELETE FROM usage_entry WHERE idx = 4")

    assert verify_log(db, KEYS).first_wrong == 4


def test_a_checkpoint_that_the_registry_never_cosigned_is_found(db: Db) -> None:
    _fill(db, 5)
    _accept_all(db)
    stranger = Keys(node=NODE_PUBLIC, witness_name=WITNESS, witnesses=(NODE_PUBLIC,))

    assert "not cosigned" in str(verify_log(db, stranger).fault)


def test_a_table_of_streams_that_says_something_else_is_found(db: Db) -> None:
    _fill(db, 5)

    _unguarded(db, "UPDATE stream SET cumulative = cumulative + 1")

    assert "streams" in str(verify_log(db, KEYS).fault)


def test_the_part_since_the_last_cosignature_can_be_looked_at_alone(db: Db) -> None:
    _fill(db, 5)
    _accept_all(db)
    _fill(db, 9, begin=5)
    assert verify_log(db, KEYS, whole=False).fault is None

    _unguarded(db, "UPDATE usage_entry SET entry = CAST('{}' AS BLOB) WHERE idx = 7")

    assert verify_log(db, KEYS, whole=False).first_wrong == 7


def test_a_broken_log_signs_nothing_and_stays_parked(db: Db) -> None:
    _fill(db, 5)
    _unguarded(db, "DELETE FROM usage_entry WHERE idx = 4")

    with db.unit():
        park_broken(db, verify_log(db, KEYS))
        parked = note_answer(db, LogAnswer(epoch=0, size=0), sign, witness=WITNESS, witness_keys=[])

    assert parked is not None
    assert parked.code == BROKEN
    assert _batch(db) is None


def test_a_torn_end_of_the_write_ahead_log_costs_whole_units_only(tmp_path: Path) -> None:
    with migrated(tmp_path) as db:
        for at in range(20):
            with db.unit():
                append(db, [use(at)])
        wal = (tmp_path / "agent.db-wal").read_bytes()
        main = (tmp_path / "agent.db").read_bytes()
    for cut in range(0, len(wal), max(1, len(wal) // 60)):
        copy = tmp_path / f"copy{cut}"
        copy.mkdir()
        (copy / "agent.db").write_bytes(main)
        (copy / "agent.db-wal").write_bytes(wal[:cut] + bytes(min(4096, len(wal) - cut)))

        with closing(open_database(copy / "agent.db")) as torn:
            if torn.rows("SELECT name FROM sqlite_schema WHERE name = 'usage_log'", {}):
                assert queries.find_log(torn) is None or verify_log(torn, KEYS).fault is None


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Db]:
    with migrated(tmp_path) as opened:
        yield opened


def _append_in_unit(db: Db, *entries: object) -> None:
    with db.unit():
        append(db, entries)  # type: ignore[arg-type]


def _fill(db: Db, end: int, *, begin: int = 0) -> None:
    with db.unit():
        append(db, [use(at) for at in range(begin, end)])


def _batch(db: Db, *, entries_max: int = 4096) -> LogBatch | None:
    with db.unit():
        return next_batch(db, sign, entries_max=entries_max)


def _checkpoint(db: Db) -> Checkpoint:
    log = queries.get_log(db)
    return Checkpoint(origin=ORIGIN, size=log.frontier.size, root=log.frontier.root())


def _note(db: Db, answer: LogAnswer) -> Parked | None:
    with db.unit():
        return note_answer(db, answer, sign, witness=WITNESS, witness_keys=[REGISTRY_PUBLIC])


def _accept(db: Db, batch: LogBatch) -> None:
    checkpoint = read_signed_checkpoint(batch.checkpoint, origin=ORIGIN, public_key=NODE_PUBLIC)
    answer = LogAnswer(epoch=0, size=checkpoint.size, cosignature=cosign(checkpoint))
    with db.unit():
        assert (
            note_answer(db, answer, sign, witness=WITNESS, witness_keys=[REGISTRY_PUBLIC]) is None
        )


def _accept_all(db: Db) -> None:
    batch = _batch(db)
    assert batch is not None
    _accept(db, batch)


def _unguarded(db: Db, sql: str, **parameters: object) -> None:
    """What a bad disk or a person with a tool does: no trigger stops it."""
    with db.unit():
        db.write("DROP TRIGGER IF EXISTS usage_entry_is_only_added", {})
        db.write("DROP TRIGGER IF EXISTS usage_entry_is_kept", {})
        db.write(sql, parameters)  # type: ignore[arg-type]


def _flip(db: Db, index: int, kind: str, chance: random.Random) -> None:
    row = db.row("SELECT entry, leaf FROM usage_entry WHERE idx = :idx", {"idx": index})
    assert row is not None
    entry, leaf = bytearray(row["entry"]), bytearray(row["leaf"])
    if kind != "leaf":
        entry[chance.randrange(len(entry))] ^= 1 << chance.randrange(7)
    if kind == "leaf":
        leaf[chance.randrange(32)] ^= 1
    if kind == "both":
        leaf = bytearray(queries.leaf_hash(bytes(entry)))
    sql = "UPDATE usage_entry SET entry = :entry, leaf = :leaf WHERE idx = :idx"
    _unguarded(db, sql, entry=bytes(entry), leaf=bytes(leaf), idx=index)

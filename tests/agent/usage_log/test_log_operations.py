"""The usage log: what is appended is kept, signed in pieces, accepted, or parked for a reason."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pymerkle import InmemoryTree

from agent.store.database import Db
from agent.usage_log import queries
from agent.usage_log.log_state import BEHIND, DIVERGED, OTHER_EPOCH, REFUSED
from agent.usage_log.operations import (
    append,
    begin_log,
    find_log_fault,
    note_answer,
    verify_log,
)
from protocol.checkpoint import read_signed_checkpoint
from protocol.refusal import Fault
from protocol.sync import LogAnswer, LogProblem
from protocol.usage import Closed, Opened, entry_bytes
from tests.agent.usage_log.rig import (
    KEYS,
    accept,
    accept_all,
    checkpoint,
    fill,
    next_piece,
    note,
)
from tests.fakes.agent_store import (
    DOMAIN,
    NODE_ID,
    NODE_PUBLIC,
    ORIGIN,
    WITNESS,
    beat,
    cosign,
    migrated,
    sign,
    use,
)


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
    fill(db, 1)

    with pytest.raises(sqlite3.IntegrityError, match="never changed"), db.unit():
        db.write("UPDATE usage_entry SET entry = x'00' WHERE idx = 0", {})
    with pytest.raises(sqlite3.IntegrityError, match="never removed"), db.unit():
        db.write("DELETE FROM usage_entry", {})


def test_beginning_the_same_log_again_changes_nothing(db: Db) -> None:
    fill(db, 3)

    with db.unit():
        begin_log(db, registry_domain=DOMAIN, node_id=NODE_ID, epoch=0)

    assert queries.get_log(db).frontier.size == 3


def test_the_database_of_another_log_is_refused(db: Db) -> None:
    with pytest.raises(Fault, match="empty data directory"), db.unit():
        begin_log(db, registry_domain=DOMAIN, node_id=NODE_ID, epoch=1)


def test_a_backlog_travels_in_batches_each_under_its_own_checkpoint(db: Db) -> None:
    fill(db, 10)
    ends = []

    while (batch := next_piece(db, entries_max=4)) is not None:
        end = batch.begin + batch.entries.count
        ended = read_signed_checkpoint(batch.checkpoint, origin=ORIGIN, public_key=NODE_PUBLIC)
        assert ended.size == end
        accept(db, batch)
        ends.append(end)

    assert ends == [4, 8, 10]
    assert queries.get_log(db).accepted == queries.get_log(db).frontier
    assert verify_log(db, KEYS).fault is None


def test_an_answer_that_got_lost_is_asked_for_again(db: Db) -> None:
    fill(db, 3)
    lost = next_piece(db)
    assert lost is not None
    with db.unit():
        note_answer(db, LogAnswer(epoch=0, size=3), sign, witness=WITNESS, witness_keys=[])

    again = next_piece(db)

    assert again == lost


def test_a_registry_that_fell_back_is_sent_what_it_lost(db: Db) -> None:
    fill(db, 6)
    accept_all(db)
    with db.unit():
        note_answer(db, LogAnswer(epoch=0, size=2), sign, witness=WITNESS, witness_keys=[])

    batch = next_piece(db)

    assert batch is not None
    assert (batch.begin, batch.entries.count) == (2, 4)
    accept(db, batch)
    assert next_piece(db) is None


def test_nothing_is_signed_when_the_registry_has_more_than_the_node(db: Db) -> None:
    fill(db, 3)

    with db.unit():
        parked = note_answer(db, LogAnswer(epoch=0, size=9), sign, witness=WITNESS, witness_keys=[])

    assert parked is not None
    assert parked.code == BEHIND
    assert "older copy" in str(find_log_fault(db))
    assert next_piece(db) is None
    fill(db, 12, begin=3)
    with db.unit():
        note_answer(db, LogAnswer(epoch=0, size=9), sign, witness=WITNESS, witness_keys=[])
    assert next_piece(db) is None


def test_nothing_is_signed_for_another_epoch(db: Db) -> None:
    fill(db, 3)

    with db.unit():
        parked = note_answer(db, LogAnswer(epoch=1, size=0), sign, witness=WITNESS, witness_keys=[])

    assert parked is not None
    assert parked.code == OTHER_EPOCH
    assert next_piece(db) is None


def test_a_refused_log_says_why_until_it_is_accepted(db: Db) -> None:
    fill(db, 3)
    problem = LogProblem(code="stream_gap", message="A record is missing.")
    with db.unit():
        parked = note_answer(
            db, LogAnswer(epoch=0, size=0, problem=problem), sign, witness=WITNESS, witness_keys=[]
        )
    assert parked is not None
    assert parked.code == REFUSED
    assert "stream_gap" in parked.why
    assert find_log_fault(db) is None

    accept_all(db)

    assert queries.get_log(db).parked is None


def test_a_cosignature_over_another_log_parks_this_one_for_good(db: Db) -> None:
    fill(db, 3)
    seen = checkpoint(db)
    other = LogAnswer(epoch=0, size=3, cosignature=cosign(replace(seen, root=bytes(32))))

    parked = note(db, other)

    assert parked is not None
    assert parked.code == DIVERGED
    assert note(db, LogAnswer(epoch=0, size=3, cosignature=cosign(seen))) == parked
    assert next_piece(db) is None
    assert queries.get_log(db).accepted.size == 0


def test_a_cosignature_of_a_stranger_moves_nothing(db: Db) -> None:
    fill(db, 3)
    answer = LogAnswer(epoch=0, size=3, cosignature=cosign(checkpoint(db)))

    with db.unit():
        parked = note_answer(db, answer, sign, witness=WITNESS, witness_keys=[NODE_PUBLIC])

    assert parked is None
    assert queries.get_log(db).accepted.size == 0
    assert next_piece(db) is not None


def test_a_cosignature_heard_without_having_sent_anything_is_taken(db: Db) -> None:
    fill(db, 3)
    seen = checkpoint(db)
    fill(db, 5, begin=3)

    note(db, LogAnswer(epoch=0, size=3, cosignature=cosign(seen)))

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


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Db]:
    with migrated(tmp_path) as opened:
        yield opened


def _append_in_unit(db: Db, *entries: object) -> None:
    with db.unit():
        append(db, entries)  # type: ignore[arg-type]

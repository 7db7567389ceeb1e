"""Audits: whatever was changed behind the agent's back is found, and named where it can be."""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.store.database import Db, open_database
from agent.store.migrate import read_steps
from agent.usage_log import queries
from agent.usage_log.audit import Keys
from agent.usage_log.log_state import BROKEN
from agent.usage_log.operations import append, note_answer, park_broken, verify_log
from protocol.merkle import leaf_hash
from protocol.sync import LogAnswer
from tests.agent.usage_log.rig import KEYS, accept_all, fill, next_piece
from tests.fakes.agent_store import NODE_PUBLIC, WITNESS, migrated, sign, use


@given(st.integers(0, 2**32))
@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_any_flipped_byte_is_found_and_its_entry_named(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    chance = random.Random(seed)
    with migrated(tmp_path_factory.mktemp("flip")) as db:
        fill(db, chance.randint(1, 40))
        accept_all(db)
        fill(db, 45, begin=queries.get_log(db).frontier.size)
        index, kind = chance.randrange(45), chance.choice(["entry", "leaf", "both"])

        _flip(db, index, kind, chance)

        report = verify_log(db, KEYS)
        assert report.fault is not None
        if kind != "both":
            assert report.first_wrong == index


def test_a_missing_entry_is_named(db: Db) -> None:
    fill(db, 5)

    _unguarded(db, "DELETE FROM usage_entry WHERE idx = 2")

    report = verify_log(db, KEYS)
    assert report.first_wrong == 2
    assert report.fault == "Entry 2 is missing."


def test_an_entry_cut_off_the_end_is_named(db: Db) -> None:
    fill(db, 5)

    _unguarded(db, "DELETE FROM usage_entry WHERE idx = 4")

    assert verify_log(db, KEYS).first_wrong == 4


def test_a_checkpoint_that_the_registry_never_cosigned_is_found(db: Db) -> None:
    fill(db, 5)
    accept_all(db)
    stranger = Keys(node=NODE_PUBLIC, witness_name=WITNESS, witnesses=(NODE_PUBLIC,))

    assert "not cosigned" in str(verify_log(db, stranger).fault)


def test_a_table_of_streams_that_says_something_else_is_found(db: Db) -> None:
    fill(db, 5)

    _unguarded(db, "UPDATE stream SET cumulative = cumulative + 1")

    assert "streams" in str(verify_log(db, KEYS).fault)


def test_the_part_since_the_last_cosignature_can_be_looked_at_alone(db: Db) -> None:
    fill(db, 5)
    accept_all(db)
    fill(db, 9, begin=5)
    assert verify_log(db, KEYS, whole=False).fault is None

    _unguarded(db, "UPDATE usage_entry SET entry = CAST('{}' AS BLOB) WHERE idx = 7")

    assert verify_log(db, KEYS, whole=False).first_wrong == 7


def test_a_broken_log_signs_nothing_and_stays_parked(db: Db) -> None:
    fill(db, 5)
    _unguarded(db, "DELETE FROM usage_entry WHERE idx = 4")

    with db.unit():
        park_broken(db, verify_log(db, KEYS))
        parked = note_answer(db, LogAnswer(epoch=0, size=0), sign, witness=WITNESS, witness_keys=[])

    assert parked is not None
    assert parked.code == BROKEN
    assert next_piece(db) is None


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
            if _is_migrated(torn):
                assert queries.find_log(torn) is None or verify_log(torn, KEYS).fault is None


def _is_migrated(db: Db) -> bool:
    """Whether every step of the schema is there; a torn one leaves nothing of itself."""
    if not db.rows("SELECT name FROM sqlite_schema WHERE name = 'schema_step'", {}):
        return False
    return len(db.rows("SELECT number FROM schema_step", {})) == len(read_steps())


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Db]:
    with migrated(tmp_path) as opened:
        yield opened


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
        leaf = bytearray(leaf_hash(bytes(entry)))
    sql = "UPDATE usage_entry SET entry = :entry, leaf = :leaf WHERE idx = :idx"
    _unguarded(db, sql, entry=bytes(entry), leaf=bytes(leaf), idx=index)

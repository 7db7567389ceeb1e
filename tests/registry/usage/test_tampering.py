"""Whatever one entry of a long log is turned into, the first sync refuses it by name, and posts
nothing; and a unit that ends at any of its statements leaves all or nothing."""

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from sqlalchemy import event, text

from protocol.fork_evidence import verify_evidence
from protocol.packing import packed_entries
from registry.store.database import Database, Db
from registry.usage.queries import find_latest_log
from tests.registry.recording import (
    NOW_MS,
    Desk,
    Recorder,
    desk,
    minutes,
    node_with_lease,
    opened,
    tokens,
)
from tests.services.databases import Databases

LONG = 1_200
MONEY = (
    "SELECT name, balance, held FROM account ORDER BY name",
    "SELECT id, src FROM journal ORDER BY id",
    "SELECT id, settled, state FROM lease ORDER BY id",
    "SELECT owner_id, meter, cumulative, charged FROM stream ORDER BY stream_id",
    "SELECT tenant_id, hour_ms, stream_id, charged FROM stream_hour ORDER BY 1, 2, 3",
    "SELECT number, entries FROM log_bundle ORDER BY number",
    'SELECT "begin", entries FROM log_tail ORDER BY 1',
    "SELECT level, number, root FROM log_subtree ORDER BY 1, 2",
    "SELECT size, frontier, checkpoint, cosignature FROM node_log",
)


def _flip(entries: list[bytes], at: int, chance: random.Random) -> None:
    entry = bytearray(entries[at])
    entry[chance.randrange(len(entry))] ^= 1 << chance.randrange(8)
    entries[at] = bytes(entry)


def _drop(entries: list[bytes], at: int, _chance: random.Random) -> None:
    del entries[at]


def _insert(entries: list[bytes], at: int, chance: random.Random) -> None:
    entries.insert(at, chance.choice(entries))


def _reorder(entries: list[bytes], at: int, _chance: random.Random) -> None:
    other = at - 1 if at else 1
    entries[at], entries[other] = entries[other], entries[at]


def _truncate(entries: list[bytes], at: int, _chance: random.Random) -> None:
    del entries[at:]


TAMPERINGS: dict[str, Callable[[list[bytes], int, random.Random], None]] = {
    "flip": _flip, "drop": _drop, "insert": _insert, "reorder": _reorder, "truncate": _truncate,
}  # fmt: skip
REFUSALS = {"checkpoint_root", "checkpoint_size", "batch_malformed"}


@pytest.fixture(scope="module")
def sqlite(run_folder: Path) -> Iterator[Databases]:
    made = Databases(run_folder, None)
    yield made
    made.drop_all()


@pytest.fixture(scope="module")
def line(sqlite: Databases) -> Iterator[tuple[Desk, Recorder]]:
    """A desk that took in half of a long log, and the whole of it."""
    with desk(sqlite) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), *minutes(50, lease_id=1))
        for at in range(LONG):
            node.record(tokens(7, before=7 * at, lease_id=1))
        assert here.take(node.batch(0, LONG // 2)).problem is None
        yield here, node


@settings(max_examples=120, deadline=None)
@given(name=st.sampled_from(sorted(TAMPERINGS)), seed=st.integers(0, 2**32))
def test_one_entry_tampered_with_is_refused_by_name(
    line: tuple[Desk, Recorder], name: str, seed: int
) -> None:
    here, node = line
    chance = random.Random(seed)
    true = node.batch(LONG // 2)
    entries = node.entries[LONG // 2 :]
    TAMPERINGS[name](entries, chance.randrange(len(entries)), chance)
    before = _money(here)

    answer = here.take(structs.replace(true, entries=packed_entries(entries)))

    if entries != node.entries[LONG // 2 :]:
        assert answer.problem is not None
        assert answer.problem.code in REFUSALS
        assert _money(here) == before


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(["flip", "drop", "insert", "reorder"]), seed=st.integers(0, 2**32))
def test_a_log_that_was_changed_behind_us_and_signed_again_is_a_fork(
    sqlite: Databases, name: str, seed: int
) -> None:
    chance = random.Random(seed)
    with desk(sqlite) as here:
        node = node_with_lease(here)
        node.record(*(tokens(7, before=7 * at, lease_id=1) for at in range(300)))
        here.take(node.batch())
        other = Recorder(entries=list(node.entries))
        TAMPERINGS[name](other.entries, chance.randrange(300), chance)
        del other.entries[300:]
        if other.entries == node.entries:
            return
        before = _money(here)

        answer = here.take(other.batch(0))

        assert answer.problem is not None
        assert answer.problem.code == "log_forked"
        assert _money(here)[:-1] == before[:-1]
        log = here.within(lambda db: find_latest_log(db, "n_1"))
        assert log is not None
        fork = verify_evidence(log.evidence)
        assert fork.origin == log.origin
        assert other.note(len(other.entries)) in json.loads(log.evidence).values()


def test_a_log_that_was_rolled_back_is_answered_with_what_we_have(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(*(tokens(7, before=7 * at, lease_id=1) for at in range(40)))
        here.take(node.batch())
        before = _money(here)
        back = Recorder(entries=node.entries[:20])

        short = here.take(back.batch(0))
        back.record(*(tokens(9, before=140 + 9 * at, lease_id=1) for at in range(30)))
        grown = here.take(back.batch(40))

        assert (short.size, short.cosignature) == (40, None)
        assert grown.problem is not None
        assert grown.problem.code == "checkpoint_root"
        assert _money(here)[:-1] == before[:-1]


def test_a_batch_cut_off_at_any_statement_leaves_all_or_nothing(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(opened("a_1", "GPU-1"), *minutes(20, lease_id=1))
        here.take(node.batch())
        node.record(*(tokens(7, before=7 * at, lease_id=1) for at in range(260)))
        before = _money(here)
        database = Database(str(here.database.url.render_as_string(hide_password=False)))
        cut = _Cut(database)
        desk_of_cut = Desk(database, now_ms=NOW_MS)
        at = 0
        while True:
            cut.after(at)
            try:
                desk_of_cut.take(node.batch(21))
                break
            except _PowerCut:
                assert _money(here) == before
                at += 1
        database.close()

        assert at > 15
        assert _money(here) != before
        assert here.take(node.batch(21)).size == 281


class _PowerCut(BaseException):
    """The end of a process, in the middle of its work."""


class _Cut:
    """Ends the work of a database before its nth statement, whichever way that is handed on."""

    def __init__(self, database: Database) -> None:
        self._left: int | None = None
        cut = self

        class SqliteCursor(sqlite3.Cursor):
            def execute(self, *args: object) -> "SqliteCursor":
                cut.count()
                super().execute(*args)  # type: ignore[arg-type]
                return self

            def executemany(self, *args: object) -> "SqliteCursor":
                cut.count()
                super().executemany(*args)  # type: ignore[arg-type]
                return self

        class SqliteConnection(sqlite3.Connection):
            def cursor(self, *_args: object) -> SqliteCursor:  # type: ignore[override]
                return SqliteCursor(self)

        class PostgresCursor(psycopg.Cursor[tuple[object, ...]]):
            def execute(self, *args: object, **named: object) -> "PostgresCursor":  # type: ignore[override]
                cut.count()
                super().execute(*args, **named)  # type: ignore[arg-type]
                return self

            def executemany(self, *args: object, **named: object) -> None:  # type: ignore[override]
                cut.count()
                super().executemany(*args, **named)  # type: ignore[arg-type]

        def connect(_dialect: object, _record: object, _args: object, named: object) -> None:
            assert isinstance(named, dict)
            if database.is_sqlite:
                named["factory"] = SqliteConnection
            else:
                named["cursor_factory"] = PostgresCursor

        event.listen(database.engine, "do_connect", connect)
        with database.reading() as db:
            db.fetch("SELECT 1", {})

    def after(self, statements: int) -> None:
        """Let so many statements pass, and no more."""
        self._left = statements

    def count(self) -> None:
        if self._left is not None:
            if self._left == 0:
                self._left = None
                raise _PowerCut
            self._left -= 1


def _money(here: Desk) -> list[list[object]]:
    """All that a batch may move, as it stands."""

    def read(db: Db) -> list[list[object]]:
        return [[tuple(row) for row in db.rows(text(query))] for query in MONEY]

    with here.database.reading() as db:
        return read(db)

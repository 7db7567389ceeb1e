"""The database: durable units, no write outside one, one owner, failures by name."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.store.database import (
    Db,
    StoreFailed,
    StoreFull,
    StoreLocked,
    open_database,
    open_for_reading,
    sole_owner,
)


def test_what_a_unit_wrote_is_there_after_opening_again(path: Path) -> None:
    with closing(open_database(path)) as db, db.unit():
        db.write("CREATE TABLE thing (name TEXT NOT NULL) STRICT", {})
        db.write("INSERT INTO thing VALUES (:name)", {"name": "lamp"})

    with closing(open_database(path)) as db:
        assert [row["name"] for row in db.rows("SELECT name FROM thing", {})] == ["lamp"]


def test_an_error_inside_a_unit_leaves_nothing_of_it(things: Db) -> None:
    with pytest.raises(ZeroDivisionError):
        _insert_and_fail(things)

    assert _names(things) == []


def test_writing_outside_a_unit_fails(things: Db) -> None:
    with pytest.raises(AssertionError, match="unit of work"):
        _insert(things, "lamp")

    assert _names(things) == []


def test_a_write_dressed_as_a_read_fails_outside_a_unit(things: Db) -> None:
    with pytest.raises(AssertionError, match="unit of work"):
        things.rows("INSERT INTO thing VALUES ('lamp') RETURNING name", {})

    assert _names(things) == []


def test_units_do_not_nest(things: Db) -> None:
    with pytest.raises(AssertionError, match="nest"), things.unit(), things.unit():
        raise NotImplementedError

    with things.unit():
        _insert(things, "lamp")
    assert _names(things) == ["lamp"]


def test_a_broken_rule_of_a_table_undoes_the_unit_and_the_next_one_works(things: Db) -> None:
    with pytest.raises(sqlite3.IntegrityError), things.unit():
        things.write("INSERT INTO thing VALUES ('lamp'), (NULL)", {})

    with things.unit():
        _insert(things, "desk")
    assert _names(things) == ["desk"]


def test_many_rows_are_written_by_one_statement(things: Db) -> None:
    with things.unit():
        written = things.write_many(
            "INSERT INTO thing VALUES (:name)", [{"name": f"{at}"} for at in range(100)]
        )

    assert written == 100
    assert len(_names(things)) == 100


def test_the_file_survives_power_cuts_by_its_settings(things: Db, path: Path) -> None:
    assert _pragma(things, "journal_mode") == "wal"
    assert _pragma(things, "synchronous") == 2
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_named_and_leaves_the_store_usable(things: Db) -> None:
    pages = int(_pragma(things, "page_count"))
    things.rows(f"PRAGMA max_page_count = {pages + 2}", {})

    with pytest.raises(StoreFull, match="full"), things.unit():
        _insert(things, "x" * 100_000)

    with things.unit():
        _insert(things, "lamp")
    assert _names(things) == ["lamp"]


def test_a_damaged_file_is_refused_and_left_as_it_is(path: Path) -> None:
    with closing(open_database(path)) as db, db.unit():
        db.write("CREATE TABLE thing (name TEXT NOT NULL) STRICT", {})
        for at in range(200):
            _insert(db, f"{at}" * 100)
    damaged = bytearray(path.read_bytes())
    damaged[4096 * 3 : 4096 * 3 + 64] = b"\xff" * 64
    path.write_bytes(damaged)

    with pytest.raises(StoreFailed, match="damaged"):
        open_database(path)

    assert path.read_bytes() == bytes(damaged)


def test_a_file_of_another_kind_is_refused_and_left_as_it_is(path: Path) -> None:
    path.write_text("these are not pages\n" * 500)

    with pytest.raises(StoreFailed, match="damaged or unreadable"):
        open_database(path)

    assert path.read_text().startswith("these are not pages")


def test_a_broken_page_met_while_running_fails_every_later_call(path: Path) -> None:
    with closing(open_database(path)) as db:
        with db.unit():
            db.write("CREATE TABLE thing (name TEXT NOT NULL) STRICT", {})
            for at in range(200):
                _insert(db, f"{at}" * 100)
        db.rows("PRAGMA wal_checkpoint(TRUNCATE)", {})
    with closing(open_database(path)) as db:
        damaged = bytearray(path.read_bytes())
        damaged[4096:] = b"\xff" * (len(damaged) - 4096)
        path.write_bytes(damaged)
        db.rows("PRAGMA shrink_memory", {})

        with pytest.raises(StoreFailed):
            _names(db)
        with pytest.raises(StoreFailed, match="failed before"), db.unit():
            raise NotImplementedError


def test_a_second_owner_is_refused_and_the_first_is_named(path: Path) -> None:
    with sole_owner(path), pytest.raises(StoreLocked, match=r"process \d+"), sole_owner(path):
        raise NotImplementedError

    with sole_owner(path):
        pass


def test_a_reader_sees_what_the_owner_kept_and_cannot_write(things: Db, path: Path) -> None:
    with things.unit():
        _insert(things, "lamp")

    with closing(open_for_reading(path)) as reader:
        assert _names(reader) == ["lamp"]
        with pytest.raises(AssertionError, match="for reading"), reader.unit():
            raise NotImplementedError


def test_reading_a_database_that_is_not_there_says_so(path: Path) -> None:
    with pytest.raises(StoreFailed, match="Enrol this node first"):
        open_for_reading(path)


@pytest.mark.parametrize(("left", "said"), [(b"", "is empty"), (b"no database" * 99, "damaged")])
def test_reading_what_is_no_database_any_more_says_so(path: Path, left: bytes, said: str) -> None:
    path.write_bytes(left)

    with pytest.raises(StoreFailed, match=said):
        open_for_reading(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.db"


@pytest.fixture
def things(path: Path) -> Iterator[Db]:
    with closing(open_database(path)) as db:
        with db.unit():
            db.write("CREATE TABLE thing (name TEXT NOT NULL) STRICT", {})
        yield db


def _insert(db: Db, name: str) -> None:
    db.write("INSERT INTO thing VALUES (:name)", {"name": name})


def _insert_and_fail(db: Db) -> None:
    with db.unit():
        _insert(db, "lamp")
        raise ZeroDivisionError


def _names(db: Db) -> list[str]:
    return [row["name"] for row in db.rows("SELECT name FROM thing ORDER BY name", {})]


def _pragma(db: Db, name: str) -> object:
    row = db.row(f"PRAGMA {name}", {})
    assert row is not None
    return row[0]

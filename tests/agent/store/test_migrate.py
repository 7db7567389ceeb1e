"""Schema files: once, in order, whole or not at all, and never another history."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.store.database import Db, open_database
from agent.store.migrate import SchemaWrong, Step, migrate, read_steps, statements

LAMPS = Step(1, "0001_lamps.sql", "CREATE TABLE lamp (name TEXT NOT NULL) STRICT;\n")
DESKS = Step(2, "0002_desks.sql", "CREATE TABLE desk (name TEXT NOT NULL) STRICT;\n")
WRONG = Step(
    2, "0002_wrong.sql", "CREATE TABLE desk (name TEXT NOT NULL) STRICT;\nCREATE NONSENSE;\n"
)


def test_each_step_is_applied_once(db: Db) -> None:
    assert migrate(db, [LAMPS]) == ["0001_lamps.sql"]
    assert migrate(db, [LAMPS, DESKS]) == ["0002_desks.sql"]
    assert migrate(db, [LAMPS, DESKS]) == []


def test_a_failing_step_leaves_the_database_as_it_was(db: Db) -> None:
    migrate(db, [LAMPS])

    with pytest.raises(SchemaWrong, match="0002_wrong"):
        migrate(db, [LAMPS, WRONG])

    assert _tables(db) == {"lamp", "schema_step"}
    assert migrate(db, [LAMPS, DESKS]) == ["0002_desks.sql"]


def test_a_step_that_was_edited_after_its_use_stops_the_start(db: Db) -> None:
    migrate(db, [LAMPS])

    with pytest.raises(SchemaWrong, match="changed after"):
        migrate(db, [Step(1, LAMPS.name, LAMPS.sql + "-- edited\n")])


def test_a_database_of_a_newer_program_stops_the_start(db: Db) -> None:
    migrate(db, [LAMPS, DESKS])

    with pytest.raises(SchemaWrong, match="newer outstation-agent"):
        migrate(db, [LAMPS])


def test_a_step_that_came_too_late_stops_the_start(db: Db) -> None:
    migrate(db, [DESKS])

    with pytest.raises(SchemaWrong, match="came after"):
        migrate(db, [LAMPS, DESKS])


def test_a_trigger_is_one_statement() -> None:
    sql = "-- a word\nCREATE TABLE a (b);\nCREATE TRIGGER t BEFORE UPDATE ON a\nBEGIN\n"
    sql += "    SELECT 1;\n    SELECT 2;\nEND;\n-- the end\n"

    assert [statement.split()[-1] for statement in statements(sql)] == ["(b);", "END;"]


def test_a_file_that_ends_within_a_statement_is_refused() -> None:
    with pytest.raises(SchemaWrong, match="within a statement"):
        list(statements("CREATE TABLE a (b);\nCREATE TABLE c (d)\n"))


def test_the_files_of_this_house_apply_and_every_table_is_strict(db: Db) -> None:
    migrate(db, read_steps())

    strict = {row["name"] for row in db.rows("PRAGMA table_list", {}) if row["strict"]}
    assert _tables(db) == strict
    assert {"usage_entry", "lease", "schema_step"} <= strict


def test_a_file_with_another_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "first.sql").write_text("SELECT 1;")

    with pytest.raises(SchemaWrong, match=r"first\.sql"):
        read_steps(tmp_path)


def test_two_files_with_one_number_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text("SELECT 1;")
    (tmp_path / "0001_b.sql").write_text("SELECT 1;")

    with pytest.raises(SchemaWrong, match="same number"):
        read_steps(tmp_path)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Db]:
    with closing(open_database(tmp_path / "agent.db")) as opened:
        yield opened


def _tables(db: Db) -> set[str]:
    rows = db.rows("SELECT name FROM sqlite_schema WHERE type = 'table'", {})
    return {row["name"] for row in rows}

"""The tables of the node's database: numbered schema files, each applied once, in order.

A file and the note that it was applied are one unit of work, so a step that fails leaves the
database as it was.  A file that changed after it was applied, a step that this program does not
know and a step that came too late all stop the start: each means the program and the database do
not belong together.
"""

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlite_utils

from agent.store.database import Db
from protocol.refusal import Fault

SCHEMA_FOLDER = Path(__file__).parent / "schema"
FILE_PATTERN = re.compile(r"(?P<number>[0-9]{4})_[a-z0-9_]+\.sql", re.ASCII)
TABLE = "schema_step"


class SchemaWrong(Fault):
    """Program and database do not belong together, or a schema file is wrong."""


@dataclass(frozen=True, slots=True)
class Step:
    """One schema file."""

    number: int
    name: str
    sql: str

    def digest(self) -> str:
        """Return the SHA-256 of the file, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_steps(folder: Path = SCHEMA_FOLDER) -> list[Step]:
    """Return the schema files in their order."""
    steps = []
    for path in sorted(folder.glob("*.sql")):
        match = FILE_PATTERN.fullmatch(path.name)
        if match is None:
            raise SchemaWrong(f"Schema file {path.name}: its name must be 0001_words.sql.")
        steps.append(Step(number=int(match["number"]), name=path.name, sql=path.read_text("utf-8")))
    numbers = [step.number for step in steps]
    if len(set(numbers)) != len(numbers):
        raise SchemaWrong("Two schema files have the same number.")
    return steps


def migrate(db: Db, steps: list[Step]) -> list[str]:
    """Apply the steps that `db` lacks; return their names."""
    applied = _applied(db)
    _check_fit(applied, steps)
    missing = [step for step in steps if step.number not in applied]
    for step in missing:
        try:
            with db.unit():
                for statement in statements(step.sql):
                    db.write(statement, {})
                db.write(
                    f"INSERT INTO {TABLE} (number, name, sha256) VALUES (:number, :name, :sha256)",
                    {"number": step.number, "name": step.name, "sha256": step.digest()},
                )
        except sqlite3.Error as error:
            raise SchemaWrong(f"Schema file {step.name}: {error}. Nothing of it stays.") from error
    return [step.name for step in missing]


def statements(sql: str) -> Iterator[str]:
    """Cut a schema file into statements; triggers, which hold semicolons, stay whole."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if any(line.strip() and not line.strip().startswith("--") for line in statement.splitlines()):
        raise SchemaWrong(f"A schema file ends within a statement: {statement.strip()[:80]!r}.")


def _applied(db: Db) -> dict[int, tuple[str, str]]:
    """Return name and digest of the steps that were applied, by number."""
    tables = sqlite_utils.Database(db.connection, execute_plugins=False)
    if TABLE not in tables.table_names():
        with db.unit():
            db.write(
                f"""
                CREATE TABLE {TABLE} (
                    number INTEGER PRIMARY KEY,
                    name   TEXT NOT NULL,
                    sha256 TEXT NOT NULL
                ) STRICT
                """,
                {},
            )
    return {
        row["number"]: (row["name"], row["sha256"])
        for row in tables.query(f"SELECT number, name, sha256 FROM {TABLE}")
    }


def _check_fit(applied: dict[int, tuple[str, str]], steps: list[Step]) -> None:
    known = {step.number: step for step in steps}
    for number, (name, digest) in sorted(applied.items()):
        step = known.get(number)
        if step is None:
            raise SchemaWrong(
                f"The database has step {name}, which this version does not know: it was written "
                "by a newer outstation-agent. Install that version again."
            )
        if step.digest() != digest:
            raise SchemaWrong(f"Schema file {step.name} was changed after it had been applied.")
    last = max(applied, default=0)
    late = [step.name for step in steps if step.number < last and step.number not in applied]
    if late:
        raise SchemaWrong(f"Schema file {late[0]} came after {known[last].name} was applied.")

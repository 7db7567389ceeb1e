"""The steps lead to the schema that the tables describe, and rows that only grow stay."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, inspect
from sqlalchemy.exc import DBAPIError

from protocol.refusal import Fault
from registry.store.database import Database
from registry.store.migrate import check_schema, migrate
from registry.store.schema import append_only_tables, whole_schema
from tests.services.databases import Databases


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    made = Database(databases.copy_of("registry", migrate))
    yield made
    made.close()


def test_the_steps_and_the_tables_agree(database: Database) -> None:
    with database.transaction(writes=False) as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_name": _is_ours}
        )

        differences = compare_metadata(context, whole_schema())

    assert differences == []


def test_every_check_of_the_tables_is_in_the_database(database: Database) -> None:
    with database.transaction(writes=False) as connection:
        found = inspect(connection)
        present = {name: len(found.get_check_constraints(name)) for name in found.get_table_names()}

    for name, table in whole_schema().tables.items():
        owned = [*table.constraints, *(one for c in table.columns for one in c.constraints)]
        wanted = [one for one in owned if isinstance(one, CheckConstraint)]
        assert len(wanted) == present[name], name


def test_running_the_steps_again_changes_nothing(database_url: str) -> None:
    migrate(database_url)
    migrate(database_url)

    database = Database(database_url)
    check_schema(database)
    database.close()


def test_a_database_without_the_steps_is_named_with_the_remedy(database_url: str) -> None:
    database = Database(database_url)

    with pytest.raises(Fault, match="run outstation-registry migrate"):
        check_schema(database)

    database.close()


@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
@pytest.mark.parametrize("name", append_only_tables())
def test_rows_that_only_grow_cannot_be_changed(database: Database, name: str, verb: str) -> None:
    column = next(iter(whole_schema().tables[name].columns)).name
    change = f"UPDATE {name} SET {column} = {column}" if verb == "UPDATE" else f"DELETE FROM {name}"
    _put_a_row_into(database, name)

    with pytest.raises(DBAPIError, match="append-only"), database.unit() as db:
        db.connection.exec_driver_sql(change)


def test_the_audit_the_ledger_and_the_prices_only_grow() -> None:
    assert {"audit_event", "journal", "posting", "price_version"} <= set(append_only_tables())


def _put_a_row_into(database: Database, name: str) -> None:
    """A row of whatever fits the types, where triggers fire for rows and not for statements."""
    table = whole_schema().tables[name]
    values: dict[str, object] = {}
    for column in table.columns:
        kind = column.type.python_type
        values[column.name] = 1 if kind is int else b"1" if kind is bytes else "1"
    values |= _FITTING.get(name, {})
    if database.is_sqlite:
        # A connection of its own, on which foreign keys are not looked at.
        with closing(sqlite3.connect(str(database.url.database))) as connection:
            names = ", ".join(values)
            marks = ", ".join("?" for _ in values)
            statement = f"INSERT INTO {name} ({names}) VALUES ({marks})"
            connection.execute(statement, list(values.values()))
            connection.commit()


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Whether code speaks of it: on SQLite two tables only let the database check sums."""
    return kind != "table" or name not in {"zero", "journal_sum"}


_FITTING: dict[str, dict[str, object]] = {
    "price_version": {"effective_at_ms": 3_600_000},
    "adjustment": {"kind": "promo"},
}

"""A database with the tables of money and usage alone, and short ways to put money in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Table, text

from registry.ledger.operations import add_funds
from registry.store.append_only import trigger_statements
from registry.store.database import Database, Db
from registry.store.migrate import MIGRATIONS
from registry.store.tables import audit, leases, ledger, log_events, usage
from registry.store.tables.metadata import metadata
from tests.services.databases import Databases

ROOMS = (ledger, usage, log_events, leases, audit)
BALANCE = "04_balance.sql"
"""What lets the database itself refuse a journal that does not sum to zero."""


def books_url(databases: Databases) -> str:
    """The address of a database with the tables of money and usage, and nothing in them."""
    return databases.copy_of("books", _make_tables)


@contextmanager
def books(databases: Databases) -> Iterator[Database]:
    """Such a database, open."""
    database = Database(books_url(databases))
    try:
        yield database
    finally:
        database.close()


def make_tables(database: Database) -> None:
    """Create the tables of these rooms, and the triggers of those that only grow."""
    tables = [table for room in ROOMS for table in vars(room).values() if isinstance(table, Table)]
    frozen = sorted(name for room in ROOMS for name in room.APPEND_ONLY)
    dialect = "sqlite" if database.is_sqlite else "postgresql"
    with database.unit() as db:
        metadata.create_all(db.connection, tables=tables)
        for statement in trigger_statements(dialect, frozen):
            db.execute(text(statement))
        for statement in balance_statements(dialect):
            db.execute(text(statement))
        for view in usage.VIEWS:
            db.execute(text(view))


def balance_statements(dialect: str) -> list[str]:
    """The statements of the step that brought sums of zero to the database."""
    path = MIGRATIONS / "versions" / "0004" / dialect / BALANCE
    return Path(path).read_text(encoding="utf-8").split("\n\n")


def unlock(db: Db, table: str) -> None:
    """Do what only somebody with the database in hand can do: write past the triggers."""
    if db.connection.dialect.name == "postgresql":
        db.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        return
    found = db.rows(
        text("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = :name"),
        {"name": table},
    )
    for row in found:
        db.execute(text(f"DROP TRIGGER {row.name}"))


def give(db: Db, tenant_id: str, micros: int, src: str = "bank:1") -> None:
    """Put money into a tenant's wallet."""
    assert add_funds(db, tenant_id, src=src, micros=micros, memo="Bank transfer", now_ms=1_000)


def _make_tables(url: str) -> None:
    database = Database(url)
    make_tables(database)
    database.close()

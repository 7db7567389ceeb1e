"""Engine, pool and units of work, the same on SQLite and PostgreSQL.

A unit of work sees the database as if it ran alone: BEGIN IMMEDIATE on SQLite, SERIALIZABLE on
PostgreSQL.  There a unit may be told to run again (`Conflict`); `Database.run` and the registry's
dispatcher do that, so the rest of the code never has to think of it.
"""

import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import psycopg
from sqlalchemy import Connection, CursorResult, Row, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.sql import Executable

from protocol.refusal import Refusal
from registry.store.statement import statement as prepared

POOL_CONNECTIONS_MAX = 10
POOL_WAIT_S_MAX = 10
BUSY_WAIT_MS_MAX = 10_000
TRIES_MAX = 10
RETRY_PAUSE_S = 0.005
RETRY_AFTER_S = 2
RERUN_STATES = frozenset({"40001", "40P01"})
"""SQLSTATE of a serialization failure and of a deadlock."""

AWAY_STATES = ("08", "53", "57P")
"""How the SQLSTATE begins of a server that is gone, full, or going down."""

DriverError = sqlite3.Error | psycopg.Error
"""What a statement that went straight to the driver raises; SQLAlchemy wraps the others'."""

AWAY_NAMES = ("SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR")

RERUN_KEYS = frozenset({"pk_audit_event"})
"""Unique keys that two units may reach for at once: the later one runs again with the next."""

P = ParamSpec("P")
T = TypeVar("T")

Values = Mapping[str, Any]


class Conflict(Exception):
    """Two units met and this one must run again; nothing of it was kept."""


class DatabaseAway(Refusal):
    """The database cannot be reached or written; `why` is for the operator alone."""

    def __init__(self, why: str) -> None:
        super().__init__(
            code="database_away",
            status=503,
            message="The registry's database cannot be used at present.",
            hint="Send the same request again in a moment; it is done once.",
            retry_after_s=RETRY_AFTER_S,
        )
        self.why = why


class Db:
    """One connection at a time, in a unit of work or a reading; used by one thread."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._connection: Connection | None = None

    @property
    def connection(self) -> Connection:
        """The open connection; outside a unit and a reading there is none."""
        assert self._connection is not None, "a query outside a unit of work"
        return self._connection

    @contextmanager
    def unit(self) -> Iterator["Db"]:
        """Read and write as one step: all of it is kept, or nothing if the block raises."""
        with self._database.transaction(writes=True) as connection, self._opened(connection):
            yield self

    @contextmanager
    def reading(self) -> Iterator["Db"]:
        """Read one consistent state without holding up a writer; a write in it fails."""
        with self._database.transaction(writes=False) as connection, self._opened(connection):
            yield self

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of the unit that can fail alone: if the block raises, only it is undone."""
        with _translated():
            self.change("SAVEPOINT part")
            try:
                yield
            except Exception:
                self.change("ROLLBACK TO SAVEPOINT part")
                self.change("RELEASE SAVEPOINT part")
                raise
            self.change("RELEASE SAVEPOINT part")

    def fetch(self, words: str, parameters: Values) -> list[tuple[Any, ...]]:
        """Return every row of a query that is handed straight to the driver (`statement`)."""
        rows: list[tuple[Any, ...]] = self._run(words, parameters).fetchall()
        return rows

    def change(self, words: str, parameters: Values | None = None) -> int:
        """Run such a change and return how many rows it touched."""
        return int(self._run(words, parameters or {}).rowcount)

    def put(self, words: str, rows: Sequence[Values]) -> None:
        """Run such a change once for each of these rows."""
        if rows:
            statement = prepared(words)
            text = statement.sqlite if self._database.is_sqlite else statement.postgres
            self._driver().cursor().executemany(text, rows)

    def execute(
        self, statement: Executable, parameters: Values | Sequence[Values] | None = None
    ) -> CursorResult[Any]:
        """Run a statement in the open unit."""
        return self.connection.execute(statement, parameters)

    def rows(self, statement: Executable, parameters: Values | None = None) -> list[Row[Any]]:
        """Return every row of a query."""
        return list(self.execute(statement, parameters).all())

    def row(self, statement: Executable, parameters: Values | None = None) -> Row[Any] | None:
        """Return the first row of a query, or None."""
        return self.execute(statement, parameters).first()

    def value(self, statement: Executable, parameters: Values | None = None) -> Any:
        """Return the first column of the first row, or None."""
        return self.execute(statement, parameters).scalar()

    def write(
        self, statement: Executable, parameters: Values | Sequence[Values] | None = None
    ) -> int:
        """Run a change and return how many rows it touched."""
        kept = statement.execution_options(preserve_rowcount=True)
        return int(self.execute(kept, parameters).rowcount)

    def insert_new(self, table: Table, values: Values) -> bool:
        """Insert a row; False, and nothing done, if a unique key of it is taken already."""
        return self.write(self._insert(table).values(**values).on_conflict_do_nothing()) == 1

    def upsert(self, table: Table, key: Sequence[str], values: Values) -> None:
        """Insert a row, or give the row with the same `key` columns the other values."""
        statement = self._insert(table).values(**values)
        others = {name: value for name, value in values.items() if name not in key}
        self.write(statement.on_conflict_do_update(index_elements=list(key), set_=others))

    def _run(self, words: str, parameters: Values) -> Any:
        statement = prepared(words)
        cursor = self._driver().cursor()
        if self._database.is_sqlite:
            cursor.execute(statement.sqlite, statement.sqlite_parameters(parameters))
        else:
            cursor.execute(statement.postgres, parameters)
        return cursor

    def _driver(self) -> Any:
        return self.connection.connection.driver_connection

    def _insert(self, table: Table) -> "sqlite.Insert | postgresql.Insert":
        if self._database.is_sqlite:
            return sqlite.insert(table)
        return postgresql.insert(table)

    @contextmanager
    def _opened(self, connection: Connection) -> Iterator[None]:
        assert self._connection is None, "a unit of work inside another"
        self._connection = connection
        try:
            yield
        finally:
            self._connection = None


class Database:
    """A bounded pool of connections to one database; safe to share between threads."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        options: dict[str, Any] = {}
        if not self.is_sqlite:
            options = {"isolation_level": "SERIALIZABLE", "pool_pre_ping": True}
        self.engine = create_engine(
            self.url,
            pool_size=POOL_CONNECTIONS_MAX,
            max_overflow=0,
            pool_timeout=POOL_WAIT_S_MAX,
            hide_parameters=True,
            **options,
        )
        if self.is_sqlite:
            event.listen(self.engine, "connect", _set_up_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    def db(self) -> Db:
        """Return a handle for one request or one piece of background work."""
        return Db(self)

    @contextmanager
    def unit(self) -> Iterator[Db]:
        """One unit of work on a handle of its own."""
        with self.db().unit() as db:
            yield db

    @contextmanager
    def reading(self) -> Iterator[Db]:
        """One reading on a handle of its own."""
        with self.db().reading() as db:
            yield db

    def run(self, work: Callable[..., T], *args: Any, **named: Any) -> T:
        """Return `work(db, …)` done in one unit, run again when it met another unit."""

        def once() -> T:
            with self.unit() as db:
                return work(db, *args, **named)

        return rerun(once)

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()

    @contextmanager
    def transaction(self, *, writes: bool, isolation: str = "") -> Iterator[Connection]:
        """One transaction on a connection of the pool; for `Db` and the migrations.

        isolation  another level than SERIALIZABLE, on PostgreSQL alone
        """
        with _translated(), self.engine.connect() as connection:
            if self.is_sqlite:
                connection = connection.execution_options(outstation_writes=writes)
            elif not writes:
                connection = connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            elif isolation:
                connection = connection.execution_options(isolation_level=isolation)
            with connection.begin():
                yield connection


def rerun(work: Callable[[], T]) -> T:
    """Return `work()`, tried again while it meets other units, at most TRIES_MAX times."""
    for attempt in range(1, TRIES_MAX):
        try:
            return work()
        except Conflict:
            time.sleep(random.uniform(0, RETRY_PAUSE_S * 2**attempt))
    try:
        return work()
    except Conflict:
        raise busy() from None


def busy() -> Refusal:
    """Return the refusal of a caller whose unit found no place between the others."""
    return Refusal(
        code="busy",
        status=503,
        message="The registry is busy; nothing was changed.",
        hint="Send the same request again in a moment.",
        retry_after_s=RETRY_AFTER_S,
    )


@contextmanager
def _translated() -> Iterator[None]:
    """Say in our words that two units met, or that the database stayed busy for too long."""
    try:
        yield
    except (DBAPIError, sqlite3.Error, psycopg.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if getattr(cause, "sqlstate", None) in RERUN_STATES:
            raise Conflict from error
        diagnosis = getattr(cause, "diag", None)
        if getattr(diagnosis, "constraint_name", None) in RERUN_KEYS:
            raise Conflict from error
        if getattr(cause, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
            raise busy() from error
        if _is_away(error, cause):
            raise DatabaseAway(str(cause)) from error
        raise
    except PoolTimeout:
        raise busy() from None


def _is_away(error: DBAPIError | DriverError, cause: BaseException | None) -> bool:
    name = getattr(cause, "sqlite_errorname", None)
    if name is not None:
        return str(name).startswith(AWAY_NAMES)
    # A server that was never reached gives no state.
    state = getattr(cause, "sqlstate", None)
    if state is None:
        invalidated = isinstance(error, DBAPIError) and error.connection_invalidated
        return invalidated or isinstance(error, OperationalError | psycopg.OperationalError)
    return str(state).startswith(AWAY_STATES)


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own BEGINs are off: it would begin a deferred transaction before each write.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_WAIT_MS_MAX}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "trusted_schema = OFF",
        # Else INSERT OR REPLACE would delete a row of an append-only table past its trigger.
        "recursive_triggers = ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("outstation_writes", True)
    driver: Any = connection.connection.driver_connection
    if connection.info.get("outstation_writes") != writes:
        driver.execute(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
        connection.info["outstation_writes"] = writes
    driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN")

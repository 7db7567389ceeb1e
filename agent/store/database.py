"""One connection to the node's SQLite file: reads, and writes inside units of work.

WAL with `synchronous=FULL`: what a unit wrote is on the disk when the unit is left, so whoever
hears "done" may rely on it through a power cut.  One process owns the file: a lock file beside it
turns a second writer away, and `quick_check` looks at every page before the first use.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from protocol.refusal import Fault

Value = str | int | bytes | None
Parameters = Mapping[str, Value]

FILE_MODE = 0o600
FOLDER_MODE = 0o700
BUSY_TIMEOUT_MS = 5_000
"""How long a statement waits for a reader in another process (`status`, `verify-log`)."""

CACHE_KIB = 8_192
BROKEN_CODES = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
    }
)
"""Primary result codes after which the handle says nothing that could be relied on."""


class StoreFailed(Fault):
    """The disk or the file under the store failed: nothing may be confirmed any more."""


class StoreFull(StoreFailed):
    """The disk is full; the unit of work left no trace, and the next one may succeed."""


class StoreLocked(Fault):
    """Another process owns the file."""


class Db:
    """Reads at any time, writes only inside `unit`.

    Parameters are named (`:name`).  Outside a unit the connection itself is read-only, so that no
    statement can slip past.
    """

    def __init__(self, connection: sqlite3.Connection, *, writable: bool) -> None:
        self._connection = connection
        self._writable = writable
        self._in_unit = False
        self._failure: str | None = None
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA query_only = ON")

    @property
    def connection(self) -> sqlite3.Connection:
        """Return the connection for sqlite-utils, inside `agent/store` alone."""
        return self._connection

    def rows(self, sql: str, parameters: Parameters) -> list[sqlite3.Row]:
        """Return every row; a query that could return many names its LIMIT."""
        with self._named_failures():
            return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Parameters) -> sqlite3.Row | None:
        """Return the first row, or None."""
        rows = self.rows(sql, parameters)
        return rows[0] if rows else None

    def write(self, sql: str, parameters: Parameters) -> int:
        """Return how many rows the statement changed."""
        assert self._in_unit, "a write belongs into a unit of work"
        with self._named_failures():
            return self._connection.execute(sql, parameters).rowcount

    def write_many(self, sql: str, parameters: Iterable[Parameters]) -> int:
        """Run one statement for each set of parameters; return how many rows changed in all."""
        assert self._in_unit, "a write belongs into a unit of work"
        with self._named_failures():
            return max(0, self._connection.executemany(sql, parameters).rowcount)

    @contextmanager
    def unit(self) -> Iterator["Db"]:
        """Keep all that is written inside, durably, or after any error nothing of it."""
        assert self._writable, "this database was opened for reading"
        assert not self._in_unit, "a unit of work does not nest"
        with self._named_failures():
            self._connection.execute("PRAGMA query_only = OFF")
            self._connection.execute("BEGIN IMMEDIATE")
        self._in_unit = True
        try:
            yield self
            with self._named_failures():
                self._connection.execute("COMMIT")
        finally:
            self._in_unit = False
            self._undo_rest()

    def close(self) -> None:
        """Let go of the file; what units kept is on the disk already."""
        self._connection.close()

    def _undo_rest(self) -> None:
        """Roll back what COMMIT did not reach; a broken handle is beyond even that."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._connection.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            self._failure = self._failure or str(error)

    @contextmanager
    def _named_failures(self) -> Iterator[None]:
        """Turn failures of disk and file into `StoreFailed`; after one, refuse every call.

        An fsync that failed may have dropped the very pages it was to write, and the next one
        would then succeed over a hole, so a broken handle is never tried again.
        """
        if self._failure is not None:
            raise StoreFailed(f"The store failed before ({self._failure}): restart the agent.")
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
            if code == sqlite3.SQLITE_FULL:
                raise StoreFull(f"The disk of the store is full: {error}.") from error
            if code == sqlite3.SQLITE_READONLY and not self._in_unit:
                raise AssertionError("a write belongs into a unit of work") from error
            if code in BROKEN_CODES:
                self._failure = str(error)
                raise StoreFailed(f"The store failed: {error}.") from error
            raise


@contextmanager
def sole_owner(path: Path) -> Iterator[None]:
    """Own the database file at `path` until the end of the block, or raise `StoreLocked`.

    The lock falls with the process, however it ends.
    """
    lock_path = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        handle = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise StoreFailed(f"{lock_path} cannot be written: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise StoreLocked(
                f"{path} is in use by another outstation-agent (process {holder}). "
                "Stop that one first: a node's database has one owner."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(handle)


def open_database(path: Path) -> Db:
    """Return the database at `path`, made if absent and checked page by page if not.

    The caller is the sole owner of the file and migrates it next.
    """
    _ensure_file(path)
    connection = _connection(f"{path.absolute().as_uri()}?mode=rw", path)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreFailed(f"{path}: this file system cannot keep a write-ahead log.")
        connection.execute("PRAGMA synchronous = FULL")
        _check_pages(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise StoreFailed(_unreadable(path, str(error))) from error
    except StoreFailed:
        connection.close()
        raise
    return Db(connection, writable=True)


def open_in_memory() -> Db:
    """Return an empty database that is gone with its handle; the caller migrates it."""
    return Db(_connection("file::memory:", Path(":memory:")), writable=True)


def open_for_reading(path: Path) -> Db:
    """Return the database at `path` for a look while its owner runs; every write fails."""
    if not path.exists():
        raise StoreFailed(f"{path}: there is no database yet. Enrol this node first.")
    connection = _connection(f"{path.absolute().as_uri()}?mode=ro", path)
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        raise StoreFailed(_unreadable(path, str(error))) from error
    if not tables:
        connection.close()
        raise StoreFailed(f"{path}: is empty. Restore it from a copy, or enrol this node anew.")
    return Db(connection, writable=False)


def _connection(uri: str, path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    except sqlite3.DatabaseError as error:
        raise StoreFailed(_unreadable(path, str(error))) from error
    return connection


def _check_pages(connection: sqlite3.Connection, path: Path) -> None:
    lines = [line for (line,) in connection.execute("PRAGMA quick_check(3)")]
    if lines != ["ok"]:
        raise StoreFailed(_unreadable(path, "; ".join(lines)))


def _unreadable(path: Path, why: str) -> str:
    return (
        f"{path} is damaged or unreadable ({why}). It was left as it is: keep a copy of it, since "
        "usage that the registry has not confirmed yet can only be read from there."
    )


def _ensure_file(path: Path) -> None:
    """Make the file readable by its owner alone; SQLite gives its companions the same mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StoreFailed(f"{path} cannot be written: {error.strerror}.") from error

"""Disks in memory: the node's store without a thread, and the registry's database.

What a unit of work kept stays through every crash of its program; what it did not keep is gone.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import Concatenate, Literal, ParamSpec, TypeVar

from agent.store.database import Db, open_in_memory
from agent.store.migrate import migrate as migrate_agent
from agent.store.migrate import read_steps
from agent.store.thread import Store
from registry.store.database import Database
from registry.store.migrate import migrate as migrate_registry

P = ParamSpec("P")
T = TypeVar("T")
Death = Literal["before", "after"]
_numbers = count()


class Killed(BaseException):
    """The program ends here, as by kill -9.  Nobody catches it but who started the program."""


class Disk:
    """The database of one machine, which outlives every program that uses it."""

    def __init__(self) -> None:
        self.db = open_in_memory()
        _agent_template().connection.backup(self.db.connection)


class MemoryStore(Store):
    """`agent.store.thread.Store` over a disk in memory: each unit at once, in the caller.

    doomed  the next unit is the last: the program ends before it is kept, or right after
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.doomed: Death | None = None

    async def run(
        self, operation: Callable[Concatenate[Db, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return self.run_now(operation, *args, **kwargs)

    def run_now(
        self, operation: Callable[Concatenate[Db, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        with self._disk.db.unit() as db:
            result = operation(db, *args, **kwargs)
            if self.doomed == "before":
                raise Killed
        if self.doomed == "after":
            raise Killed
        return result

    def close(self) -> None:
        """The disk stays."""


@contextmanager
def registry_database() -> Iterator[tuple[Database, sqlite3.Connection]]:
    """An empty registry's database, and a connection that looks at it from aside."""
    file = f"file:/simulation-{next(_numbers)}?vfs=memdb"
    aside = sqlite3.connect(file, uri=True, isolation_level=None)
    _registry_template().backup(aside)
    aside.row_factory = sqlite3.Row
    database = Database(f"sqlite:///{file}&uri=true")
    try:
        yield database, aside
    finally:
        database.close()
        aside.close()


@cache
def _agent_template() -> Db:
    db = open_in_memory()
    migrate_agent(db, read_steps())
    return db


@cache
def _registry_template() -> sqlite3.Connection:
    file = f"file:/simulation-template-{next(_numbers)}?vfs=memdb"
    kept = sqlite3.connect(file, uri=True, isolation_level=None)
    migrate_registry(f"sqlite:///{file}&uri=true")
    return kept

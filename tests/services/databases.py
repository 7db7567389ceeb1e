"""Databases for one test each: empty, or copies of one that was prepared once per run."""

import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.services.postgres import Cluster
from tests.services.shared import locked


class Databases:
    """Makes databases on one engine: PostgreSQL when given a cluster, else SQLite files."""

    def __init__(self, run_folder: Path, cluster: Cluster | None) -> None:
        self._run_folder = run_folder
        self._cluster = cluster
        self._own_folder = Path(tempfile.mkdtemp(prefix="databases-", dir=run_folder))
        self._made: list[str] = []

    def empty(self) -> str:
        """The address of an empty database."""
        if self._cluster is None:
            return _sqlite_url(self._new_file())
        return self._cluster.url(self._noted(self._cluster.new_database()))

    def copy_of(self, name: str, prepare: Callable[[str], None]) -> str:
        """The address of a copy of the database that `prepare(address)` fills.

        `prepare` runs once per run and engine under that name, so that a test does not pay for
        every migration again.  It must close its connections before it returns.
        """
        with locked(self._run_folder, f"database-{name}"):
            if self._cluster is None:
                return self._sqlite_copy(name, prepare)
            return self._postgres_copy(self._cluster, name, prepare)

    def drop_all(self) -> None:
        if self._cluster is not None:
            for name in self._made:
                self._cluster.drop_database(name)
        shutil.rmtree(self._own_folder)

    def _sqlite_copy(self, name: str, prepare: Callable[[str], None]) -> str:
        template = self._run_folder / f"{name}.sqlite"
        if not template.exists():
            draft = self._new_file()
            prepare(_sqlite_url(draft))
            _fold_write_ahead_log(draft)
            shutil.move(draft, template)
        copy = self._new_file()
        shutil.copyfile(template, copy)
        return _sqlite_url(copy)

    def _postgres_copy(self, cluster: Cluster, name: str, prepare: Callable[[str], None]) -> str:
        template = f"template_{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        if not cluster.has_database(template):
            draft = cluster.new_database()
            prepare(cluster.url(draft))
            cluster.rename_database(draft, template)
        return cluster.url(self._noted(cluster.new_database(template)))

    def _new_file(self) -> Path:
        self._made.append(f"database-{len(self._made)}.sqlite")
        return self._own_folder / self._made[-1]

    def _noted(self, name: str) -> str:
        self._made.append(name)
        return name


def _sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def _fold_write_ahead_log(path: Path) -> None:
    """Bring what lies in the -wal file into the file itself, so that a copy of it is whole."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()

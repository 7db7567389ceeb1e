"""A throwaway PostgreSQL cluster on a unix socket, and databases in it that cost milliseconds."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from tests.services.shared import Service, running

BINARIES = Path("/usr/lib/postgresql")
SUPERUSER = "postgres"
START_S_MAX = 60
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running server: where its socket lies."""

    socket_folder: str

    def url(self, database: str) -> str:
        """The address in the form SQLAlchemy takes."""
        return f"postgresql+psycopg://{SUPERUSER}@/{database}?host={self.socket_folder}"

    def new_database(self, template: str = "template1") -> str:
        """Create a database of a random name, as a copy of `template`; return its name."""
        name = f"test_{secrets.token_hex(8)}"
        self._run("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, template)
        return name

    def rename_database(self, name: str, to: str) -> None:
        self._run("ALTER DATABASE {} RENAME TO {}", name, to)

    def drop_database(self, name: str) -> None:
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def has_database(self, name: str) -> bool:
        with self._connection() as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            return found.fetchone() is not None

    def _run(self, statement: str, *names: str) -> None:
        with self._connection() as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _connection(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=self.socket_folder, user=SUPERUSER, dbname="postgres", autocommit=True
        )


def start_cluster(run_folder: Path) -> Service:
    """Make a cluster below `run_folder` and start it; root hands it to the user postgres."""
    folder = run_folder / "postgres"
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        owner = pwd.getpwnam(SUPERUSER)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    data = folder / "data"
    settings = SETTINGS | {"unix_socket_directories": str(folder)}

    _run_as_owner(
        "initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C",
        f"--username={SUPERUSER}", f"--pgdata={data}",
    )  # fmt: skip
    _run_as_owner(
        "pg_ctl", "start", "--silent", "--wait", f"--timeout={START_S_MAX}",
        f"--pgdata={data}", f"--log={folder / 'server.log'}",
        "--options", " ".join(f"-c {name}='{value}'" for name, value in settings.items()),
    )  # fmt: skip

    pid = int((data / "postmaster.pid").read_text().splitlines()[0])
    return running(pid, stop_signal=signal.SIGINT, socket_folder=str(folder))


def _run_as_owner(program: str, *arguments: str) -> None:
    """Run a server program as a user it accepts: PostgreSQL refuses to run as root."""
    command = [str(_newest_binaries() / program), *arguments]
    if os.geteuid() == 0:
        command = ["runuser", "-u", SUPERUSER, "--", *command]
    done = subprocess.run(
        command,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{program} failed: {done.stderr.strip()}")


def _newest_binaries() -> Path:
    if (on_path := shutil.which("initdb")) is not None:
        return Path(on_path).resolve().parent
    versions = sorted(BINARIES.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not versions:
        raise RuntimeError("PostgreSQL is missing: apt-get install postgresql-15")
    return versions[-1].parent

"""Services that all test processes of one run share: started by the first that asks, stopped last.

pytest-xdist spreads tests over processes.  The first process that needs a service starts it under
a file lock and notes it in the run's folder; the others read the note.  The process that began
the run stops what the notes name, by process id, when all tests are over.
"""

import fcntl
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

STOP_S_MAX = 20
POLL_S = 0.05
PREFIX = "outstation-tests-"
OWNER = "owner.lock"
MEMORY = Path("/dev/shm")
MEMORY_BYTES_MIN = 1 << 30
FOLDER_MODE = 0o711  # other users' services (postgres) may pass through, not look around


@dataclass(frozen=True, slots=True)
class Service:
    """A started process, how it is asked to stop, and what its users must know."""

    pid: int
    started_at: float
    stop_signal: int
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """A run's folder, and the lock its first process holds for as long as it lives."""

    folder: Path
    lock: int


def new_run() -> Run:
    """A folder in memory where there is room: databases are made 20 times as fast there."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES_MIN
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=MEMORY if roomy else None))
    lock = os.open(folder / "unowned", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    (folder / "unowned").rename(folder / OWNER)
    folder.chmod(FOLDER_MODE)
    return Run(folder, lock)


def end_abandoned_runs() -> None:
    """End the runs of this user whose first process was killed before it could."""
    for parent in (MEMORY, Path(tempfile.gettempdir())):
        for folder in parent.glob(f"{PREFIX}*"):
            if folder.stat().st_uid == os.geteuid() and (folder / OWNER).exists():
                _end_if_abandoned(folder)


def _end_if_abandoned(folder: Path) -> None:
    lock = os.open(folder / OWNER, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
    else:
        end_run(Run(folder, lock))


def running(pid: int, *, stop_signal: int = signal.SIGTERM, **facts: str) -> Service:
    """A note of the process `pid`, safe against the reuse of its number."""
    return Service(pid, psutil.Process(pid).create_time(), stop_signal, facts)


def shared_service(run_folder: Path, name: str, start: Callable[[], Service]) -> Service:
    """The service of that name in this run; `start` is called by one process only."""
    note = run_folder / f"{name}.service.json"
    with locked(run_folder, name):
        if note.exists():
            return Service(**json.loads(note.read_text()))
        service = start()
        note.write_text(json.dumps(asdict(service)))
        return service


@contextmanager
def locked(run_folder: Path, name: str) -> Iterator[None]:
    """Hold the run's lock of that name; other test processes wait."""
    handle = os.open(run_folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def end_run(run: Run) -> None:
    """Stop every service the run noted and remove its folder."""
    for note in sorted(run.folder.glob("*.service.json")):
        stop(Service(**json.loads(note.read_text())))
    shutil.rmtree(run.folder, ignore_errors=True)
    os.close(run.lock)


def stop(service: Service) -> None:
    """Ask the process to stop and wait; after STOP_S_MAX it is killed."""
    try:
        process = psutil.Process(service.pid)
        if process.create_time() != service.started_at:
            return
        process.send_signal(service.stop_signal)
        give_up_at = time.monotonic() + STOP_S_MAX
        while process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > give_up_at:
                process.kill()
                return
            time.sleep(POLL_S)
    except psutil.NoSuchProcess:
        return

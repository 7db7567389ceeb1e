"""Programs of the demo: started with a log file each, watched, and stopped by their own pid."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

STOP_S = 20.0
STEP_S = 0.1
SECRET_MODE = 0o600
FOLDER_VARIABLE = "OUTSTATION_DEMO_FOLDER"
"""Marks every program of a demo, so that the next one finds what a killed one left."""


class DemoFailed(Exception):
    """A step did not hold; the message says which and where to look."""


@dataclass
class Programs:
    """The running programs and the folder their logs stand in."""

    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a program in the background; its output goes to `logs/<name>.log`."""
        log = self.log_of(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            self.running[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, FOLDER_VARIABLE: str(self.folder)},
            )

    def log_of(self, name: str) -> Path:
        """Return the log file of a program."""
        return self.folder / "logs" / f"{name}.log"

    def check(self) -> None:
        """Raise if a program has ended that should run."""
        for name, process in self.running.items():
            if process.poll() is not None:
                tail = self.log_of(name).read_text(errors="replace").strip().splitlines()[-8:]
                raise DemoFailed(
                    f"{name} ended with exit code {process.returncode}:\n  " + "\n  ".join(tail)
                )

    def stop(self) -> None:
        """Stop what runs, youngest first: SIGTERM, then SIGKILL after 20 s."""
        for name, process in reversed(list(self.running.items())):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            del self.running[name]

    def wait_for(self, what: str, holds: Callable[[], bool], *, at_most_s: float) -> None:
        """Wait until `holds()`; raise after `at_most_s`, or as soon as a program ends."""
        ends_at = time.monotonic() + at_most_s
        while not holds():
            self.check()
            if time.monotonic() > ends_at:
                raise DemoFailed(f"{what}: not within {at_most_s:.0f} s. Logs: {self.folder}/logs")
            time.sleep(STEP_S)


def stop_leftovers(folder: Path) -> None:
    """Stop the programs of a demo in this folder whose own program was killed."""
    mark = f"{FOLDER_VARIABLE}={folder}".encode()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environ.read_bytes().split(b"\0"):
                os.kill(int(environ.parent.name), signal.SIGKILL)
        except OSError:
            continue  # It has ended meanwhile, or is somebody else's.


def program(name: str) -> str:
    """Return the path of one of our commands, beside the interpreter that runs this."""
    return str(Path(sys.executable).parent / name)


def free_port() -> int:
    """Return a port of loopback that is free at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(url: str) -> bool:
    """Whether a GET of the address is answered with 2xx."""
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def write_secret(path: Path, secret: str) -> Path:
    """Write a file that its owner alone can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, SECRET_MODE), "w") as out:
        out.write(secret)
    return path

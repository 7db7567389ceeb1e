"""The Docker Engine the tests run containers on, started when none answers."""

import os
import subprocess
from pathlib import Path

from tests.services.shared import Service, running

ENSURE = Path(__file__).parents[2] / "packaging" / "ensure.sh"
STARTED = "started dockerd "


def engine_answers() -> bool:
    try:
        asked = subprocess.run(["docker", "info"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return asked.returncode == 0


def start_engine(log: Path) -> Service | None:
    """Make an engine answer; the service is None when somebody else looks after it."""
    done = subprocess.run(
        [ENSURE, "docker"],
        env={**os.environ, "DOCKERD_LOG": str(log)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    pids = [line.removeprefix(STARTED) for line in done.stdout.splitlines() if STARTED in line]
    return running(int(pids[0])) if pids else None

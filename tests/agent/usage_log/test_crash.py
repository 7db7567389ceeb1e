"""Killed at any moment: what was acknowledged is there, and the log is whole (faults 9, 10, 29)."""

import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from agent.store.database import Db, open_database
from agent.usage_log.operations import audit_keys, verify_log
from agent.usage_log.queries import get_log
from tests.fakes.agent_store import DOMAIN, NODE_PUBLIC, REGISTRY_PUBLIC

KEYS = audit_keys(registry_domain=DOMAIN, node=NODE_PUBLIC, witnesses=[REGISTRY_PUBLIC])
CYCLES = 8


def test_what_was_acknowledged_survives_every_kill(tmp_path: Path) -> None:
    chance = random.Random(20_261_120)
    sizes = [0]
    for _ in range(CYCLES):
        said = _run_and_kill(tmp_path, after_s=chance.uniform(0.005, 0.15))

        with closing(open_database(tmp_path / "agent.db")) as db:
            report = verify_log(db, KEYS)
            assert report.fault is None
            kept = [int(line) for line in said if line.isdecimal()]
            accepted = [int(line.split()[1]) for line in said if line.startswith("accepted ")]
            assert report.size >= max(kept, default=0)
            assert get_log(db).accepted.size >= max(accepted, default=0)
            assert _leases_are_sound(db)
            sizes.append(report.size)

    assert sizes == sorted(sizes)
    assert sizes[-1] > CYCLES


def test_a_second_writer_is_refused_while_the_first_one_lives_and_not_after(tmp_path: Path) -> None:
    first = _start(tmp_path)
    assert first.stdout is not None
    first.stdout.readline()

    second = subprocess.run(
        _command(tmp_path), capture_output=True, text=True, check=False, timeout=60
    )
    first.kill()
    first.communicate()
    third = _run_and_kill(tmp_path, after_s=0.01)

    assert second.returncode != 0
    assert f"process {first.pid}" in second.stderr
    assert third


def _command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "tests.fakes.append_forever", str(folder)]


def _start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(_command(folder), stdout=subprocess.PIPE, text=True)


def _run_and_kill(folder: Path, *, after_s: float) -> list[str]:
    """Return the whole lines that the program said before it was killed."""
    process = _start(folder)
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(after_s)
    process.kill()
    rest, _ = process.communicate()
    return [line for line in (first + rest).split("\n")[:-1] if line]


def _leases_are_sound(db: Db) -> bool:
    wrong = db.rows(
        """
        SELECT lease_id FROM lease WHERE spent + reserved > amount OR reserved != (
            SELECT coalesce(sum(worst), 0) FROM reservation
            WHERE reservation.lease_id = lease.lease_id
        )
        """,
        {},
    )
    return wrong == []

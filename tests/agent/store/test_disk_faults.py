"""Disks that fail for real: what was acknowledged stays, and nothing more is (faults 14, 16)."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from agent.store.database import open_database
from agent.usage_log.operations import verify_log

SHIM = Path(__file__).parents[2] / "fakes" / "failing_fsync.c"
FILE_BYTES_MAX = 700_000


@pytest.mark.parametrize("after", [25, 40, 131])
def test_after_an_fsync_that_failed_nothing_is_acknowledged_any_more(
    tmp_path: Path, after: int
) -> None:
    shim = tmp_path / "shim.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", shim, SHIM], check=True)

    said = _run_until_it_fails(
        tmp_path, {"LD_PRELOAD": str(shim), "FAILING_FSYNC_AFTER": str(after)}
    )

    assert said[-1] == "failed"
    _assert_acknowledged_is_kept(tmp_path, said)


def test_a_file_that_cannot_grow_fails_the_store_by_name(tmp_path: Path) -> None:
    said = _run_until_it_fails(tmp_path, {}, before=_limit_files)

    assert said[-1] == "failed"
    _assert_acknowledged_is_kept(tmp_path, said)


def _limit_files() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES_MAX, FILE_BYTES_MAX))


def _run_until_it_fails(
    folder: Path, environment: dict[str, str], before: Callable[[], None] | None = None
) -> list[str]:
    """Return what the program said until its store failed."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fakes.append_forever", str(folder)],
        env=os.environ | environment,
        preexec_fn=before,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 3, ended.stderr
    return ended.stdout.split()


def _assert_acknowledged_is_kept(folder: Path, said: list[str]) -> None:
    with closing(open_database(folder / "agent.db")) as db:
        report = verify_log(db, None)
        assert report.fault is None
        assert report.size >= max(int(word) for word in said if word.isdecimal())

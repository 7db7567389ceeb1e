"""On CI a skip is a failure, unless the test needs a real GPU."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.house.source import ROOT

SKIPPING = '''
"""Two tests that skip themselves."""
import pytest

@pytest.mark.skip(reason="no reason")
def test_one(): ...

@pytest.mark.gpu
@pytest.mark.skip(reason="no card")
def test_two(): ...
'''


def test_on_ci_a_skip_fails_unless_it_is_for_the_gpu(tmp_path: Path) -> None:
    last_line = _closing_line(tmp_path, ci="true")

    assert last_line.startswith("1 skipped, 1 error")


def test_at_a_persons_desk_a_skip_is_a_skip(tmp_path: Path) -> None:
    last_line = _closing_line(tmp_path, ci="")

    assert last_line.startswith("2 skipped")


def _closing_line(folder: Path, *, ci: str) -> str:
    """Run the two tests under our conftest in a process of their own."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder / "conftest.py")
    (folder / "test_skipping.py").write_text(SKIPPING)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    gpu: needs a GPU\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={folder}"],
        cwd=folder,
        env={**os.environ, "CI": ci, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout.splitlines()[-1]

"""The commands of a node and a registry say what to install where their extra is missing."""

import subprocess
import sys

import pytest

WITHOUT = """
import runpy, sys
sys.modules[{package!r}] = None
sys.argv = ["command", "--help"]
runpy.run_module({side!r}, run_name="__main__")
"""


@pytest.mark.parametrize(("side", "package"), [("agent", "uvloop"), ("registry", "sqlalchemy")])
def test_a_missing_extra_is_one_sentence_with_what_to_type(side: str, package: str) -> None:
    ended = run(side, package)

    assert ended.returncode == 1
    assert f"outstation-{side} needs {package}" in ended.stderr
    assert f"pip install 'outstation[{side}]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_package_of_our_own_that_is_missing_is_a_bug() -> None:
    assert "Traceback" in run("agent", "protocol.clock").stderr


def run(side: str, package: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(side=side, package=package)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )

"""Wrong versions of the shipped code break a rule within a few seeds."""

import json
import subprocess
import sys

import pytest

from tests.house.source import ROOT
from tests.simulation.mutants.table import MUTANTS
from tests.simulation.mutants.trial import SEEDS_MAX

TRIAL_S_MAX = 240
QUICK_EVERY = 5
"""Of so many mutants one is tried at every test run, all of them by `make soak`."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if at % QUICK_EVERY == 0 else (pytest.mark.long,))
        for at, name in enumerate(sorted(MUTANTS))
    ],
)
def test_the_mutant_is_caught(name: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.simulation.mutants.trial", name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=TRIAL_S_MAX,
    )

    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["rule"], f"{name}: no rule was broken in {told['tried']} seeds"
    assert told["tried"] <= SEEDS_MAX


def test_every_edit_of_a_mutant_stands_in_the_shipped_code_once() -> None:
    for name, mutant in MUTANTS.items():
        for edit in mutant.edits:
            path = ROOT / (edit.module.replace(".", "/") + ".py")
            assert path.read_text(encoding="utf-8").count(edit.old) == 1, f"{name}: {edit.old}"


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 15

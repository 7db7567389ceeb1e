"""`outstation simulate` tells what happened, to people and programs, and fails loudly."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from cli.main import outstation
from protocol.exits import VERIFICATION
from tests.house.source import ROOT

BROKEN = """
import sys
from tests.simulation.mutants.trial import ChangedFinder
from tests.simulation.mutants.table import MUTANTS
sys.meta_path.insert(0, ChangedFinder(MUTANTS["a charge is taken off a hold twice"].edits))
from cli.main import main
sys.argv = ["outstation", "simulate", "--seed", "1", "--nodes", "2", "--hours", "2", *sys.argv[1:]]
main()
"""
SMALL = ("simulate", "--seed", "3", "--nodes", "1", "--hours", "1")


def test_a_run_without_a_violation_ends_with_0_and_its_figures() -> None:
    ran = CliRunner().invoke(outstation, [*SMALL, "--faults", "loss,crash", "--json"])

    assert ran.exit_code == 0
    data = json.loads(ran.stdout)["data"]
    assert (data["seed"], data["nodes"], data["hours"]) == (3, 1, 1)
    assert data["faults"] == ["crash", "loss"]
    assert data["violated"] is None
    assert len(data["event_hash"]) == 64


def test_many_seeds_are_told_one_by_one_to_people_and_summed_for_programs() -> None:
    told = CliRunner().invoke(outstation, [*SMALL, "--seeds", "2", "--faults", "none"])
    summed = CliRunner().invoke(outstation, [*SMALL, "--seeds", "2", "--faults", "none", "--json"])

    assert told.stdout.count("every rule holds") == 2
    assert json.loads(summed.stdout)["data"]["seeds"] == 2


@pytest.mark.parametrize("words", [["--faults", "gremlins"], ["--nodes", "33"], ["--hours", "0"]])
def test_what_cannot_be_simulated_is_said_with_its_limit(words: list[str]) -> None:
    ran = CliRunner().invoke(outstation, [*SMALL, *words])

    assert ran.exit_code == 2
    assert words[0] in ran.output


def test_a_broken_rule_ends_with_11_the_seed_and_the_shortest_trace() -> None:
    ended = _broken("--json")

    assert ended.returncode == VERIFICATION
    error = json.loads(ended.stdout)["error"]
    assert error["code"] == "verification_failed"
    least = error["run"]["shortest"]
    assert least["seed"] == 1
    assert least["trace"]
    assert len(least["faults"]) < len(error["run"]["faults"])
    assert f"--seed {least['seed']} --nodes {least['nodes']}" in error["hint"]


def test_people_are_told_the_rule_and_what_to_type() -> None:
    ended = _broken()

    assert ended.returncode == VERIFICATION
    assert "held_is_what_is_open" in ended.stdout
    assert "outstation simulate --seed 1" in ended.stderr


def _broken(*words: str) -> "subprocess.CompletedProcess[str]":
    """The command over code that is wrong."""
    return subprocess.run(
        [sys.executable, "-c", BROKEN, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

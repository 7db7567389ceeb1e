"""Whatever happens to nodes, network and registry, every rule holds; and a seed is one run."""

import json
import os
import subprocess
import sys

import pytest

from simulation.setup import FAULTS, setup
from simulation.shorten import Case, outcome
from simulation.world import Result

EVERY = frozenset(FAULTS)
NETWORK = frozenset({"loss", "partition", "delay", "duplication", "outage", "suspend", "drift"})
NODES, HOURS = 3, 3
ONE_RUN = "from simulation.report import simulated, known_faults as known\nimport json\n"
ASKED = "seed=7, nodes=2, hours=2, faults=known()"


def seeds(first: int, *, quick: int, all_of_them: int) -> list[object]:
    """Seeds from the first on; those beyond the quick ones are run by `make soak`."""
    marks = [() if at < quick else (pytest.mark.long,) for at in range(all_of_them)]
    return [pytest.param(first + at, marks=mark) for at, mark in enumerate(marks)]


@pytest.mark.parametrize("seed", seeds(1, quick=4, all_of_them=16))
def test_every_rule_holds_under_all_faults_together(seed: int) -> None:
    result = outcome(Case(seed, NODES, HOURS, EVERY))

    assert (result.violated, result.what) == ("", ""), _why(result)
    assert result.entries > 50
    assert result.checks > 100


@pytest.mark.parametrize("seed", seeds(51, quick=1, all_of_them=4))
def test_while_every_node_is_there_honest_work_never_runs_over_its_leases(seed: int) -> None:
    result = outcome(Case(seed, NODES, HOURS, NETWORK))

    assert (result.violated, result.what) == ("", ""), _why(result)


@pytest.mark.parametrize("seed", seeds(31, quick=0, all_of_them=1))
def test_every_rule_holds_for_a_larger_fleet_and_a_longer_time(seed: int) -> None:
    result = outcome(Case(seed, 4, 6, EVERY))

    assert (result.violated, result.what) == ("", ""), _why(result)


def test_without_faults_everything_is_billed_and_nothing_runs_over() -> None:
    result = outcome(Case(41, NODES, HOURS, frozenset()))

    assert (result.violated, result.what) == ("", ""), _why(result)


def test_the_same_seed_is_the_same_run_in_another_process_and_another_seed_is_not() -> None:
    first, second = (_run_apart(ASKED, hash_seed) for hash_seed in ("1", "2"))
    other = _run_apart(ASKED.replace("seed=7", "seed=8"), "1")

    assert first == second
    assert first["event_hash"] != other["event_hash"]


def test_constants_differ_from_seed_to_seed() -> None:
    made = [setup(seed, nodes=3, hours=3, faults=EVERY) for seed in range(40)]

    assert len({(one.tick_ms, one.sync_ms, one.loss_per_mille) for one in made}) > 10
    assert len({one.terms["standard"].life_ms for one in made}) > 1
    assert {one.signed for one in made} == {True, False}


def test_leaving_a_fault_out_changes_no_constant() -> None:
    some = setup(5, nodes=3, hours=3, faults=EVERY - {"loss", "crash"})
    every = setup(5, nodes=3, hours=3, faults=EVERY)

    assert (some.tick_ms, some.terms, some.gap_ms) == (every.tick_ms, every.terms, every.gap_ms)


def _run_apart(asked: str, hash_seed: str) -> dict[str, object]:
    """The figures of a run in a process of its own, in which sets have another order."""
    ended = subprocess.run(
        [sys.executable, "-c", f"{ONE_RUN}print(json.dumps(simulated({asked})))"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(ended.stdout)
    assert isinstance(told, dict)
    return told


def _why(result: Result) -> str:
    return "\n".join(f"{at_ms} {who} {what}" for at_ms, who, what in result.lines[-40:])

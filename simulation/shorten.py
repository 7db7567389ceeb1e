"""The least of a run that still breaks the same rule: fewer faults, nodes and hours."""

from collections.abc import Iterator
from dataclasses import dataclass

from protocol.clock import HOUR_MS
from simulation.setup import setup
from simulation.world import Result, run

TRIES_MAX = 40
TRACE_LINES_MAX = 60


@dataclass(frozen=True, slots=True)
class Case:
    """What a run is asked for."""

    seed: int
    nodes: int
    hours: int
    faults: frozenset[str]


def outcome(case: Case) -> Result:
    """Let the run happen."""
    return run(setup(case.seed, nodes=case.nodes, hours=case.hours, faults=case.faults))


def shortened(case: Case, found: Result) -> tuple[Case, Result]:
    """Return the smallest case found that breaks the rule which `found` broke, and its result.

    Constants are drawn from the seed alone, so that leaving a fault out changes nothing else.
    """
    assert found.violated
    tries = 0
    smaller = True
    while smaller and tries < TRIES_MAX:
        smaller = False
        for less in _smaller(case, found):
            tries += 1
            result = outcome(less)
            if result.violated == found.violated:
                case, found, smaller = less, result, True
                break
            if tries >= TRIES_MAX:
                break
    return case, found


def trace(result: Result) -> list[str]:
    """Return what happened last before the rule was broken, a line each."""
    begin_ms = result.lines[0][0] if result.lines else 0
    return [
        f"{(at_ms - begin_ms) / 60_000:9.3f} min  {who:<9} {what}"
        for at_ms, who, what in result.lines[-TRACE_LINES_MAX:]
    ]


def _smaller(case: Case, found: Result) -> Iterator[Case]:
    hours = min(case.hours - 1, found.at_ms // HOUR_MS + 1)
    if 1 <= hours < case.hours:
        yield Case(case.seed, case.nodes, hours, case.faults)
    for fault in sorted(case.faults):
        yield Case(case.seed, case.nodes, case.hours, case.faults - {fault})
    if case.nodes > 1:
        yield Case(case.seed, case.nodes - 1, case.hours, case.faults)

"""What the command `outstation simulate` tells, as plain values."""

from collections.abc import Iterable

from simulation.setup import FAULTS, HOURS_MAX, NODES_MAX
from simulation.shorten import Case, outcome, shortened, trace

LIMITS = {"nodes": NODES_MAX, "hours": HOURS_MAX}


def known_faults() -> tuple[str, ...]:
    """Return the names of everything that can go wrong."""
    return FAULTS


def simulated(*, seed: int, nodes: int, hours: int, faults: Iterable[str]) -> dict[str, object]:
    """Let one run happen; return its figures, and what broke with the shortest trace, if any did.

    event_hash  over everything that happened: the same for the same seed, whichever machine runs it
    """
    case = Case(seed, nodes, hours, frozenset(faults))
    result = outcome(case)
    told: dict[str, object] = {
        "seed": seed,
        "nodes": nodes,
        "hours": hours,
        "faults": sorted(case.faults),
        "steps": result.steps,
        "checks": result.checks,
        "entries": result.entries,
        "event_hash": result.digest,
        "violated": result.violated or None,
    }
    if result.violated:
        least, found = shortened(case, result)
        told["what"] = found.what
        told["shortest"] = {
            "seed": least.seed,
            "nodes": least.nodes,
            "hours": least.hours,
            "faults": sorted(least.faults),
            "trace": trace(found),
        }
    return told

"""`outstation simulate`: nodes, a registry and customers in one process, under faults, from a seed.

The simulation runs the code of both sides, so it needs their extras; this command does not, and
finds it by name when it is typed.
"""

import importlib
import sys
from typing import Any

import click

from cli import show
from cli.exits import stopped
from cli.show import json_option
from protocol.exits import VERIFICATION

MODULE = "simulation.report"
OWN_PACKAGES = ("protocol", "web", "agent", "registry", "simulation")
ALL, NONE = "all", "none"


@click.command()
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--seeds", type=click.IntRange(min=1), default=1, help="How many, from --seed on.")
@click.option("--nodes", type=click.IntRange(min=1), default=4, show_default=True)
@click.option("--hours", type=click.IntRange(min=1), default=6, show_default=True)
@click.option("--faults", default=ALL, help="Names with commas between them; all, or none.")
@json_option
def simulate(seed: int, seeds: int, nodes: int, hours: int, faults: str, *, as_json: bool) -> None:
    """Check that no order of faults loses a record or a micro; exit code 11 if one does."""
    report = _report()
    for limit, asked in (("nodes", nodes), ("hours", hours)):
        if asked > report.LIMITS[limit]:
            raise click.UsageError(f"--{limit} {asked}: at most {report.LIMITS[limit]}.")
    wanted = _faults(faults, report.known_faults())
    told = []
    for number in range(seed, seed + seeds):
        one = report.simulated(seed=number, nodes=nodes, hours=hours, faults=wanted)
        told.append(one)
        if not as_json:
            _show(one)
        if one["violated"]:
            break
    last = told[-1]
    if as_json:
        data = last if seeds == 1 else {**_sums(told), "last": last}
        show.show_json(data) if not last["violated"] else show.show_error(_error(last))
    if last["violated"]:
        sys.exit(VERIFICATION)


def _report() -> Any:
    try:
        return importlib.import_module(MODULE)
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] in OWN_PACKAGES:
            raise
        raise stopped(
            "extra_missing",
            f"outstation simulate needs {missing.name}, which is not installed.",
            "Install Outstation with both extras: pip install 'outstation[agent,registry]'.",
        ) from None


def _faults(text: str, known: tuple[str, ...]) -> list[str]:
    if text in (ALL, NONE):
        return list(known) if text == ALL else []
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise click.UsageError(f"--faults: {name!r} is none of {', '.join(known)}.")
    return names


def _show(one: dict[str, Any]) -> None:
    click.echo(
        f"seed {one['seed']}: {one['steps']} steps, {one['checks']} checks, "
        f"{one['entries']} records, {one['violated'] or 'every rule holds'}  {one['event_hash']}"
    )
    if not one["violated"]:
        return
    least = one["shortest"]
    for line in least["trace"]:
        click.echo(line)
    click.echo(f"{one['violated']}: {one['what']}")
    show.hint(f"Type `{_command(least)}` to see it again.")


def _command(least: dict[str, Any]) -> str:
    faults = ",".join(least["faults"]) or NONE
    return (
        f"outstation simulate --seed {least['seed']} --nodes {least['nodes']} "
        f"--hours {least['hours']} --faults {faults}"
    )


def _sums(told: list[dict[str, Any]]) -> dict[str, Any]:
    sums = {name: sum(one[name] for one in told) for name in ("steps", "checks", "entries")}
    return {"seeds": len(told), "violations": 0, **sums}


def _error(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "code": "verification_failed",
        "message": f"{one['violated']}: {one['what']}",
        "hint": f"Type `{_command(one['shortest'])}` to see it again.",
        "retryable": False,
        "limit_source": None,
        "run": one,
    }

"""The commands of a customer."""

import sys
import time
import tomllib
import uuid
from pathlib import Path
from typing import TextIO

import click

from cli import show
from cli.answers import Allocation, Balance, Me, Shape
from cli.client import Client
from cli.exits import stopped
from cli.receipts import statement, verify
from cli.session import checked_session, forget_session, read_session, save_session
from cli.show import json_option

WAIT_STEP_S = 0.5
WAIT_S_MAX = 3600
UNSETTLED = frozenset({"requested", "provisioning", "stopping", "releasing"})
FAILED = {
    "failed": "launch_failed",
    "release_failed": "launch_failed",
    "sku_unavailable": "no_capacity",
    "insufficient_balance": "insufficient_balance",
}
"""States in which a launch has come to nothing, and the code of the error that says so."""


@click.command()
@click.option("--url", required=True, help="Address of the registry, as in the browser.")
@click.option("--key-file", type=click.File(), help="File with the API key; else stdin is read.")
@json_option
def login(url: str, key_file: TextIO | None, *, as_json: bool) -> None:
    """Keep an API key for this registry, after checking it."""
    if key_file is not None:
        key = key_file.read().strip()
    elif sys.stdin.isatty():
        key = click.prompt("API key", hide_input=True, err=True).strip()
    else:
        key = sys.stdin.readline().strip()
    session = checked_session(url, key)
    answer = Client(session).get("/api/v1/me", Me)
    path = save_session(session)
    if as_json:
        show.show_json(answer.data, answer.request_id)
    elif answer.data is not None:
        click.echo(f"Signed in to {answer.data.tenant.name}, project {answer.data.project.name}.")
        show.hint(f"The key is kept in {path}.")


@click.command()
@json_option
def logout(*, as_json: bool) -> None:
    """Forget the kept API key; the key itself stays valid until it is revoked."""
    forgotten = forget_session()
    if as_json:
        show.show_json({"forgotten": forgotten})
    else:
        click.echo("The key is forgotten here." if forgotten else "No key was kept here.")


@click.command()
@json_option
def whoami(*, as_json: bool) -> None:
    """Show which organization and project the key belongs to."""
    session = read_session()
    answer = Client(session).get("/api/v1/me", Me)
    if as_json:
        show.show_json(answer.data, answer.request_id)
    elif answer.data is not None:
        me = answer.data
        click.echo(f"{me.subject} at {session.url}: {me.tenant.name}, project {me.project.name}")


@click.command()
@json_option
def gpus(*, as_json: bool) -> None:
    """List the shapes on sale: id for --sku, GPUs, price per hour, and where they are free."""
    answer = Client(read_session()).get("/api/v1/gpus", tuple[Shape, ...])
    found = answer.data or ()
    if as_json:
        show.show_json(found, answer.request_id)
    elif found:
        show.show_shapes(found)
        show.hint("Launch one with `outstation launch --sku ID --image NAME@sha256:…`.")
    else:
        show.hint("Nothing is on sale yet.")


@click.command()
@click.option("--sku", help="Shape, as `outstation gpus` lists them; needed here or in the file.")
@click.option("--image", help="Image by digest: name@sha256:…; needed here or in the file.")
@click.option("--name", help="Name of the workload: a-z, 0-9 and -.  [default: of its image]")
@click.option("--country", help="Two-letter country the work must stay in.")
@click.option("--site", help="Site the work must go to.")
@click.option("--port", type=int, multiple=True, help="Port the work answers on.")
@click.option("--env", "environment", multiple=True, help="NAME=value.")
@click.option("--task", is_flag=True, help="It runs to completion; exit code 0 is its success.")
@click.option("-f", "--file", "path", type=click.Path(exists=True), help="Launch file in TOML.")
@click.option("--idempotency-key", help="Repeat it to repeat a launch safely.")
@click.option("--wait/--no-wait", default=None, help="Watch until it runs (default on a terminal).")
@click.argument("command", nargs=-1)
@json_option
def launch(
    *,
    sku: str | None,
    image: str | None,
    name: str | None,
    country: str | None,
    site: str | None,
    port: tuple[int, ...],
    environment: tuple[str, ...],
    task: bool,
    path: str | None,
    idempotency_key: str | None,
    wait: bool | None,
    command: tuple[str, ...],
    as_json: bool,
) -> None:
    """Launch a workload; COMMAND, if given, replaces the image's own."""
    body = _read_launch_file(path) if path else {}
    manifest = body.setdefault("manifest", {})
    given = {"sku": sku, "name": name, "country": country, "site": site}
    body.update({field: value for field, value in given.items() if value is not None})
    if isinstance(manifest, dict):
        parts = {"image": image, "command": list(command), "ports": list(port)}
        manifest.update({field: value for field, value in parts.items() if value})
        if task:
            manifest["kind"] = "task"
        if environment:
            manifest["environment"] = dict(_environment(line) for line in environment)
    if not body.get("sku"):
        raise click.UsageError(
            "Missing --sku, or `sku` in the launch file; `outstation gpus` lists the shapes."
        )
    key = idempotency_key or uuid.uuid4().hex
    show.hint(f"Idempotency key {key}")
    client = Client(read_session())
    answer = client.post("/api/v1/allocations", body, Allocation, idempotency_key=key)
    made = answer.data
    if made is not None and (sys.stdout.isatty() if wait is None else wait):
        made = _watched(client, made)
    has_failed = made is not None and made.state in FAILED
    if as_json and not has_failed:
        show.show_json(made, answer.request_id)
    elif made is not None and not as_json:
        show.show_allocation(made)
    if made is not None and has_failed:
        raise stopped(FAILED[made.state], made.fact, f"Type `outstation show {made.id}`.")


@click.command(name="ls")
@click.option("-a", "--all", "everything", is_flag=True, help="Those of the history too.")
@json_option
def list_(*, everything: bool, as_json: bool) -> None:
    """List workloads that run or ended lately, youngest first."""
    answer = Client(read_session()).get(
        "/api/v1/allocations", tuple[Allocation, ...], all=int(everything)
    )
    found = answer.data or ()
    if as_json:
        show.show_json(found, answer.request_id)
    elif found:
        show.show_allocations(found)
    else:
        show.hint("No workloads. Launch one with `outstation launch`.")


@click.command(name="show")
@click.argument("allocation_id")
@json_option
def show_(allocation_id: str, *, as_json: bool) -> None:
    """Show one workload with its state path and receipts."""
    answer = Client(read_session()).get(f"/api/v1/allocations/{allocation_id}", Allocation)
    if as_json:
        show.show_json(answer.data, answer.request_id)
    elif answer.data is not None:
        show.show_allocation(answer.data)


@click.command()
@click.argument("allocation_id")
@click.option("--wait/--no-wait", default=None, help="Watch until it is gone.")
@json_option
def release(allocation_id: str, *, wait: bool | None, as_json: bool) -> None:
    """End a workload: charging stops at once, its container and scratch files are deleted."""
    client = Client(read_session())
    path = f"/api/v1/allocations/{allocation_id}/release"
    answer = client.post(path, {}, Allocation, idempotency_key=f"release-{allocation_id}"[:64])
    found = answer.data
    if found is not None and (sys.stdout.isatty() if wait is None else wait):
        found = _watched(client, found)
    if as_json:
        show.show_json(found, answer.request_id)
    elif found is not None:
        show.show_allocation(found)


@click.command()
@json_option
def models(*, as_json: bool) -> None:
    """List the models this key may call."""
    answer = Client(read_session()).models()
    found = answer.data
    if as_json:
        show.show_json(found, answer.request_id)
    elif found:
        rows = [(one.id, one.owned_by, str(one.context_length or "")) for one in found]
        show.show_table(("MODEL", "FROM", "CONTEXT"), rows, right=1)
    else:
        show.hint("No model is served and priced at present.")


@click.command()
@json_option
def balance(*, as_json: bool) -> None:
    """Show what is free to spend, held and used per hour."""
    answer = Client(read_session()).get("/api/v1/balance", Balance)
    if as_json:
        show.show_json(answer.data, answer.request_id)
    elif answer.data is not None:
        show.show_balance(answer.data)


COMMANDS = (
    login,
    logout,
    whoami,
    gpus,
    launch,
    list_,
    show_,
    release,
    models,
    balance,
    statement,
    verify,
)


def _watched(client: Client, allocation: Allocation) -> Allocation:
    """Return the allocation once it has settled; Ctrl-C ends the watching, not the work."""
    shown = 0
    for _ in range(int(WAIT_S_MAX / WAIT_STEP_S)):
        answer = client.get(f"/api/v1/allocations/{allocation.id}", Allocation)
        assert answer.data is not None
        for event in answer.data.events[shown:]:
            show.hint(f"{event.state:<14}{event.fact}")
        shown = len(answer.data.events)
        if answer.data.state not in UNSETTLED:
            return answer.data
        time.sleep(WAIT_STEP_S)
    raise stopped(
        "timed_out",
        f"{allocation.name} has not settled in {WAIT_S_MAX} s; it goes on.",
        f"Type `outstation show {allocation.id}`.",
    )


def _read_launch_file(path: str) -> dict[str, object]:
    try:
        return tomllib.loads(Path(path).read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise stopped("launch_file", f"{path}: {error}.", "Correct the file.") from None


def _environment(line: str) -> tuple[str, str]:
    name, equals, value = line.partition("=")
    if not equals:
        raise click.UsageError(f"--env {line}: write NAME=value.")
    return name, value

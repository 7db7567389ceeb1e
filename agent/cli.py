"""`outstation-agent`: enrol this machine, run the node, look at it and at its usage log."""

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import msgspec
import uvloop

from agent.commands import (
    clean_up,
    next_key,
    node_status,
    opened,
    proof_of_call,
    serve_echo,
)
from agent.config import Config, read_config
from agent.doctor import doctor_report
from agent.enrolling import enrolled
from agent.node import run_node
from agent.sync.queries import get_identity, list_trusted
from agent.usage_log.operations import audit_keys, verify_log
from protocol import __version__
from protocol.exits import (
    INTERRUPTED,
    OTHER,
    VERIFICATION,
    error_object,
    exit_code_of,
    usage_object,
    wants_json,
)
from protocol.refusal import Fault, Refusal

SECRET_BYTES_MAX = 4096

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


class JsonLines(logging.Formatter):
    """One JSON object per line: the fixed phrase, and the values that belong to it."""

    KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at_ms": int(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in self.KNOWN}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def told(data: Any, words: str, *, as_json: bool) -> None:
    """Answer on stdout: one JSON object for programs, words for people."""
    if as_json:
        click.echo(msgspec.json.encode({"ok": True, "data": data}).decode())
    else:
        click.echo(words)


def waited(work: Awaitable[Any]) -> Any:
    """Return what the work came to, run on an event loop of its own."""

    async def run() -> Any:
        return await work

    return asyncio.run(run())


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "path",
    default="/etc/outstation/agent.toml",
    envvar="OUTSTATION_AGENT_CONFIG",
    type=click.Path(path_type=Path),
    help="Configuration file (agent.toml).",
)
@click.version_option(__version__, prog_name="outstation-agent")
@click.pass_context
def agent(context: click.Context, path: Path) -> None:
    """Run a node of Outstation on this machine."""
    context.obj = path


def config_of(context: click.Context) -> Config:
    """Return the configuration named on the command line."""
    return read_config(context.obj)


@agent.command()
@click.pass_context
def run(context: click.Context) -> None:
    """Run the node until SIGTERM or Ctrl-C; containers go on without it."""
    config = config_of(context)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)
    uvloop.run(run_node(config))


@agent.command(name="enrol")
@click.option("--secret-file", type=click.File(), help="File with the secret; else it is asked.")
@json_option
@click.pass_context
def enrol(context: click.Context, secret_file: Any, *, as_json: bool) -> None:
    """Spend an enrolment secret for trust in this machine's own key."""
    if secret_file is None and sys.stdin.isatty():
        secret = click.prompt("Enrolment secret", hide_input=True, err=True).strip()
    else:
        secret = (secret_file or sys.stdin).read(SECRET_BYTES_MAX).strip()
    answer = waited(enrolled(config_of(context), secret))
    words = f"Enrolled as {answer.node_name} ({answer.node_id}) at {answer.site_name}."
    told(msgspec.to_builtins(answer), words, as_json=as_json)


@agent.command()
@json_option
@click.pass_context
def status(context: click.Context, *, as_json: bool) -> None:
    """Say what this node is, holds and sees, with the uplink or without."""
    data = node_status(config_of(context))
    lines = [
        f"{data['node_name']} ({data['node_id']}) at {data['site_name']}",
        f"registry: {data['registry']}",
        f"usage log: {data['log']['size']} entries, {data['log']['unsent']} not yet accepted",
        *(f"allocation {one['allocation_id']}: {one['phase']}" for one in data["allocations"]),
        *(f"{one['severity']}: {one['detail']} {one['remedy']}" for one in data["findings"]),
    ]
    told(data, "\n".join(lines), as_json=as_json)


@agent.command(name="verify-log")
@json_option
@click.pass_context
def verify_log_(context: click.Context, *, as_json: bool) -> None:
    """Recompute the whole usage log; exit code 11 and the first wrong entry if it is not intact."""
    db = opened(config_of(context))
    identity = get_identity(db)
    keys = audit_keys(
        registry_domain=identity.registry_domain,
        node=identity.public_key,
        witnesses=list(list_trusted(db).values()),
    )
    report = verify_log(db, keys)
    words = f"{report.size} entries, root {report.root}: {report.fault or 'intact'}"
    told(asdict(report) | {"intact": report.fault is None}, words, as_json=as_json)
    if report.fault is not None:
        sys.exit(VERIFICATION)


@agent.command(name="prove-call")
@click.argument("call_id")
@json_option
@click.pass_context
def prove_call(context: click.Context, call_id: str, *, as_json: bool) -> None:
    """Prove one call to its tenant: its row, and its path to the root in the usage record."""
    proof = proof_of_call(config_of(context), call_id)
    words = msgspec.json.format(msgspec.json.encode(proof), indent=2).decode()
    told(msgspec.to_builtins(proof), words, as_json=as_json)


@agent.command(name="rotate-key")
@json_option
@click.pass_context
def rotate_key(context: click.Context, *, as_json: bool) -> None:
    """Change this node's key: the log says so, and the registry trusts the new one from then on."""
    verifier = next_key(config_of(context))
    words = (
        f"The next key is {verifier}\n"
        "The agent changes to it at its next call; `status` says when it has."
    )
    told({"verifier_key": verifier}, words, as_json=as_json)


@agent.command()
@json_option
@click.pass_context
def doctor(context: click.Context, *, as_json: bool) -> None:
    """Check versions, engine, GPUs, disk, clock, registry and usage log; say what to do."""
    report = waited(doctor_report(config_of(context)))
    lines = []
    for one in report:
        lines.append(f"{'ok' if one.ok else 'BAD':<4}{one.what}: {one.detail}")
        if one.remedy:
            lines.append(f"    {one.remedy}")
    told([asdict(one) for one in report], "\n".join(lines), as_json=as_json)
    if not all(one.ok for one in report):
        sys.exit(OTHER)


@agent.command()
@json_option
@click.pass_context
def clean(context: click.Context, *, as_json: bool) -> None:
    """Remove this node's containers, networks and firewall rules.  Everything running here ends."""
    removed = waited(clean_up(config_of(context)))
    told({"containers": removed}, f"{removed} containers removed", as_json=as_json)


@agent.command(name="demo-echo")
@click.option("--port", type=int, required=True)
@click.option("--delay-ms", type=int, default=0, help="Pause between the words of a stream.")
def demo_echo(port: int, delay_ms: int) -> None:
    """Run the demo's inference backend on loopback: it repeats what it is told."""
    uvloop.run(serve_echo(port=port, delay_ms=delay_ms))


def main() -> None:
    """Run the command line; a refusal is one sentence and its remedy."""
    as_json = wants_json(sys.argv)
    try:
        agent(standalone_mode=False)
    except* (Refusal, Fault) as group:
        _end(group.exceptions[0], as_json=as_json)
    except* click.ClickException as group:
        error = group.exceptions[0]
        assert isinstance(error, click.ClickException)
        _misused(error, as_json=as_json)
    except* (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)


def _misused(error: click.ClickException, *, as_json: bool) -> None:
    if as_json:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "outstation-agent"
        wrong = usage_object(error.format_message(), command)
        click.echo(msgspec.json.encode({"ok": False, "error": wrong}).decode())
    error.show()
    sys.exit(error.exit_code)


def _end(stopped: BaseException, *, as_json: bool) -> None:
    while isinstance(stopped, BaseExceptionGroup):
        stopped = stopped.exceptions[0]
    assert isinstance(stopped, (Refusal, Fault))
    error = error_object(stopped)
    if as_json:
        click.echo(msgspec.json.encode({"ok": False, "error": error}).decode())
    click.echo(f"Error: {error['message']} {error['hint']}".strip(), err=True)
    sys.exit(exit_code_of(stopped))

"""`outstation-registry`: set a registry up, run it, and let its ledger prove itself."""

import os
import secrets
import socket
import sys
from dataclasses import asdict
from pathlib import Path

import click
import msgspec

from protocol import __version__
from protocol.exits import (
    INTERRUPTED,
    VERIFICATION,
    error_object,
    exit_code_of,
    usage_object,
    wants_json,
)
from protocol.refusal import Fault, Refusal
from protocol.signing import public_bytes
from registry.commands import SET_UP, Console, json_option, organization, site, told
from registry.config import Config, database_url
from registry.drivers.keyfile import read_key, read_or_create_key
from registry.governing import GOVERNING, OF_SITES
from registry.jobs import run_jobs
from registry.log_commands import COMMANDS as LOGS
from registry.money_commands import LEDGER, MONEY
from registry.nodes.queries import list_nodes
from registry.payment_commands import payment
from registry.payout_commands import payout
from registry.server.logs import set_up_logs
from registry.store.database import Database, DatabaseAway
from registry.store.integrity import check_intact
from registry.store.migrate import check_schema, migrate
from registry.verification.operations import verify_everything

CONFIG_VARIABLE = "OUTSTATION_REGISTRY_CONFIG"
"""Names the configuration to the workers of gunicorn (registry/wsgi.py)."""

WORKER = "registry.drivers.patient_worker.PatientWorker"
"""What serves: no slow client holds a thread of it (decision 0085)."""

REQUEST_LINE_BYTES_MAX = 8190
PRIVATE_UMASK = 0o077
"""Nobody else reads what the registry writes: database, letters, key."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "path",
    default="registry.toml",
    envvar="OUTSTATION_REGISTRY_CONFIG",
    type=click.Path(path_type=Path),
    help="Configuration file (registry.toml).",
)
@click.version_option(__version__, prog_name="outstation-registry")
@click.pass_context
def registry(context: click.Context, path: Path) -> None:
    """Run the registry and look after what it holds."""
    context.obj = Console(path)


@registry.command()
@click.pass_obj
def serve(console_: Console) -> None:
    """Serve pages, the JSON API and the nodes' calls with gunicorn."""
    config = console_.config()
    check_database(config)
    command = [
        *(sys.executable, "-m", "gunicorn", "registry.wsgi:app"),
        *("--bind", config.listen, "--worker-class", WORKER, "--no-control-socket"),
        *("--workers", str(config.workers), "--threads", str(config.threads)),
        *("--limit-request-line", str(REQUEST_LINE_BYTES_MAX)),
    ]
    environment = {**os.environ, CONFIG_VARIABLE: str(console_.path.resolve())}
    os.execve(sys.executable, command, environment)


@registry.command()
@click.pass_obj
def jobs(console_: Console) -> None:
    """Do what is due in the background; of several such processes one acts."""
    config = console_.config()
    check_database(config)
    set_up_logs(sys.stderr, config.log_level)
    run_jobs(config, holder=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}")


@registry.command(name="migrate")
@json_option
@click.pass_obj
def migrate_(console_: Console, *, as_json: bool) -> None:
    """Bring the database to the schema of this version."""
    config = console_.config()
    path = Path(config.key_file)
    if path.exists():
        read_key(path)
    migrate(database_url(config))
    if not path.exists() and console_.run(list_nodes):
        raise Fault(
            f"key file {path}: is not there, and nodes know this registry by its key; restore it "
            "from your backup."
        )
    read_or_create_key(path)
    told({"version": __version__}, "The database has the schema of this version.", as_json=as_json)


@registry.group()
def ledger() -> None:
    """The ledger."""


@ledger.command(name="verify")
@json_option
@click.pass_obj
def verify(console_: Console, *, as_json: bool) -> None:
    """Recompute every balance from postings and raw logs; exit code 11 on any difference."""
    _prove(console_, as_json=as_json)


@ledger.command(name="rebuild")
@click.option("--verify", "compares", is_flag=True, help="Compare what comes out with what stands.")
@json_option
@click.pass_obj
def rebuild(console_: Console, *, compares: bool, as_json: bool) -> None:
    """Compute every balance, stream, hour and lease again from raw logs, prices, payments and
    adjustments; exit code 11 on any difference, which is named.  Nothing is written."""
    if not compares:
        raise click.UsageError("add --verify: the ledger only grows, so nothing is written anew.")
    _prove(console_, as_json=as_json)


def _prove(console_: Console, *, as_json: bool) -> None:
    config = console_.config()
    key = read_key(Path(config.key_file))
    report = console_.run(
        verify_everything,
        domain=config.domain,
        registry_key=public_bytes(key),
        site_share_basis_points=config.site_share_basis_points,
    )
    words = (
        f"{report.journals} journals and {report.entries} log entries: "
        f"{len(report.problems)} problems"
    )
    lines = (f"{one.code} {one.subject}: {one.detail}" for one in report.problems)
    told(asdict(report), "\n".join((words, *lines)), as_json=as_json)
    if report.problems:
        sys.exit(VERIFICATION)


for command in (*SET_UP, *MONEY, *LOGS, payment, payout):
    registry.add_command(command)
for command in GOVERNING:
    organization.add_command(command)
for command in LEDGER:
    ledger.add_command(command)
for command in OF_SITES:
    site.add_command(command)


def main() -> None:
    """Run the command line; a refusal is one sentence and its remedy."""
    as_json = wants_json(sys.argv)
    os.umask(PRIVATE_UMASK)
    try:
        registry(standalone_mode=False)
    except (Refusal, Fault) as stopped:
        error = error_object(stopped)
        if isinstance(stopped, DatabaseAway):
            error["message"] = f"database: cannot be used ({' '.join(stopped.why.split())})."
            error["hint"] = "Start it, or correct `database` in the configuration."
        if as_json:
            click.echo(msgspec.json.encode({"ok": False, "error": error}).decode())
        click.echo(f"Error: {error['message']} {error['hint']}".strip(), err=True)
        sys.exit(exit_code_of(stopped))
    except click.ClickException as error:
        if as_json:
            context = getattr(error, "ctx", None)
            command = context.command_path if context else "outstation-registry"
            wrong = usage_object(error.format_message(), command)
            click.echo(msgspec.json.encode({"ok": False, "error": wrong}).decode())
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)


def check_database(config: Config) -> None:
    """Refuse a database that is damaged, or at another schema, before any worker starts."""
    database = Database(database_url(config))
    try:
        check_intact(database)
        check_schema(database)
    finally:
        database.close()

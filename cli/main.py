"""`outstation`: parses the command line and turns every stop into words and an exit code."""

import sys

import click

from cli import show
from cli.commands import COMMANDS
from cli.exits import Stopped
from cli.simulate import simulate
from protocol import __version__
from protocol.exits import INTERRUPTED, usage_object, wants_json


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="outstation")
def outstation() -> None:
    """Launch workloads on edge GPUs, call models and see what they cost."""


for command in (*COMMANDS, simulate):
    outstation.add_command(command)


def main() -> None:
    """Run the command line; the exit code says what happened."""
    as_json = wants_json(sys.argv)
    try:
        outstation(standalone_mode=False)
    except Stopped as stop:
        show.show_stop(stop, as_json=as_json)
        sys.exit(stop.code)
    except click.ClickException as error:
        if as_json:
            show.show_error(usage_object(error.format_message(), command_of(error)))
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        show.hint("Stopped watching; the work goes on.")
        sys.exit(INTERRUPTED)


def command_of(error: click.ClickException) -> str:
    """Return the command that could not be read, as it is typed."""
    context = getattr(error, "ctx", None)
    return context.command_path if isinstance(context, click.Context) else outstation.name or ""

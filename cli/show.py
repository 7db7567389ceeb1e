"""Tables for people, JSON for programs: data on stdout, hints on stderr."""

import sys
import time
from collections.abc import Sequence

import click
import msgspec
from rich.console import Console
from rich.table import Table

from cli.answers import Allocation, Balance, Shape
from cli.exits import Stopped
from protocol.clock import SECOND_MS
from protocol.money import show_amount

LINE_CHARACTERS_MAX = 1_000

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


def hint(text: str) -> None:
    """Say something beside the data."""
    click.echo(text, err=True)


def show_json(data: object, request_id: str = "") -> None:
    """Write one object: `{ok, data, request_id}`."""
    answer = {"ok": True, "data": data, "request_id": request_id}
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")


def show_error(error: object, request_id: str = "") -> None:
    """Write one object: `{ok, error, request_id}`."""
    answer = {"ok": False, "error": error, "request_id": request_id}
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")


def show_stop(stop: Stopped, *, as_json: bool) -> None:
    """Write why the command ends: one object for programs, sentence and hint for people."""
    if as_json:
        show_error(stop.problem, stop.request_id)
        return
    hint(f"Error: {stop.problem.message}")
    if stop.problem.hint:
        hint(stop.problem.hint)
    if stop.request_id:
        hint(f"Request {stop.request_id}")


def show_time(at_ms: int) -> str:
    """Return a moment as the pages show it, in UTC: `2026-11-20 17:14:53Z`."""
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(at_ms // SECOND_MS))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: int = 0) -> None:
    """Write a table whose last `right` columns hold figures."""
    table = Table(box=None, pad_edge=False)
    for at, column in enumerate(columns):
        figures = at >= len(columns) - right
        table.add_column(column, justify="right" if figures else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    # A table that is too wide runs on: an id that is cut is of no use to anyone.
    Console(highlight=False, width=LINE_CHARACTERS_MAX).print(table, crop=False)


def show_shapes(found: Sequence[Shape]) -> None:
    """Write the shapes on sale as a table; those that cannot be launched now say why."""
    show_table(
        ("ID", "GPUS", "FREE WHERE", "FREE", "PER HOUR"),
        [
            (
                one.id,
                f"{one.accelerators} x {one.accelerator}"
                + (" (simulated)" if one.simulated else ""),
                ", ".join(f"{place.name} {place.country}" for place in one.sites)
                or one.unavailable,
                str(one.free),
                "-" if one.hourly_micros is None else show_amount(one.hourly_micros, one.currency),
            )
            for one in found
        ],
        right=2,
    )


def show_allocations(found: Sequence[Allocation]) -> None:
    """Write allocations as a table."""
    show_table(
        ("ID", "NAME", "STATE", "SHAPE", "SITE", "PER HOUR", "SPENT"),
        [
            (
                one.id,
                one.name,
                one.state,
                one.sku + (" (simulated)" if one.simulated else ""),
                one.site,
                show_amount(one.hourly_micros, one.currency),
                show_amount(one.spent_micros, one.currency),
            )
            for one in found
        ],
        right=2,
    )


def show_allocation(one: Allocation) -> None:
    """Write one allocation with its state path."""
    charging = "charging" if one.charging else "not charging"
    price = show_amount(one.hourly_micros, one.currency)
    simulated = " simulated" if one.simulated else ""
    click.echo(f"{one.name}  {one.id}")
    click.echo(f"{one.state}, {charging}; {price} per hour")
    click.echo(f"{one.accelerators} x {one.sku}{simulated} on {one.node}, {one.site}")
    click.echo(f"Spent so far {show_amount(one.spent_micros, one.currency)}")
    for event in one.events:
        click.echo(f"  {show_time(event.at_ms)}  {event.state:<22}{event.fact}")
    for receipt in one.receipts:
        click.echo(f"  receipt {receipt}")


def show_balance(balance: Balance) -> None:
    """Write the money of the organization."""
    click.echo(f"{show_amount(balance.available_micros, balance.currency)} free to spend")
    click.echo(f"{show_amount(balance.wallet_micros, balance.currency)} paid in and not used")
    if balance.promo_micros:
        click.echo(f"{show_amount(balance.promo_micros, balance.currency)} promotional credit")
    click.echo(
        f"{show_amount(balance.held_micros, balance.currency)} held at nodes for work and calls"
    )
    click.echo(f"{show_amount(balance.hourly_micros, balance.currency)} per hour at present")
    if balance.state != "funded":
        hint(f"Balance is {balance.state}.")

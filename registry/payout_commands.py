"""Commands about what sites are paid: where to, when, and what became of it."""

from typing import Any

import click

from protocol.money import read_amount, show_amount
from registry.adjustments.operations import claw_back
from registry.app import payout_senders
from registry.commands import Console, json_option, new_id, now_ms, told
from registry.payouts import operations
from registry.payouts.queries import Destination, Payout, list_payouts
from registry.payouts.states import Event, State
from registry.sites.queries import get_site
from registry.store.database import Db
from registry.tenants.naming import read_name
from registry.tenants.roles import console

LISTED_MAX = 200


@click.group()
def payout() -> None:
    """What sites are paid."""


@payout.command(name="to")
@click.argument("site_id")
@click.argument("destination")
@click.option("--sender", default="bank", show_default=True, help="Who pays.")
@json_option
@click.pass_obj
def set_destination(
    console_: Console, site_id: str, destination: str, sender: str, *, as_json: bool
) -> None:
    """Say where a site is paid: an account at its bank, in words."""
    console_.run(
        operations.set_destination,
        site_id,
        Destination(sender, destination),
        senders=payout_senders(console_.config()),
        actor=console(),
        now_ms=now_ms(),
    )
    data = {"site_id": site_id, "sender": sender, "destination": destination}
    told(data, f"{site_id} is paid by {sender} to {destination}.", as_json=as_json)


@payout.command(name="run")
@click.option("--site", "site_id", help="Pay this site alone.")
@json_option
@click.pass_obj
def run(console_: Console, site_id: str | None, *, as_json: bool) -> None:
    """Make a payout for each site that has enough, at once."""
    senders = payout_senders(console_.config())
    accounts = {name: sender.account for name, sender in senders.items()}
    made = console_.run(
        operations.start_payouts,
        accounts=accounts,
        now_ms=now_ms(),
        new_id=new_id,
        actor=console(),
        site_id=site_id,
    )
    _list(made, "Nothing is due.", as_json=as_json)


@payout.command(name="ls")
@click.option("--state", type=click.Choice([state.value for state in State]))
@json_option
@click.pass_obj
def list_(console_: Console, state: str | None, *, as_json: bool) -> None:
    """List payouts, newest first; `--state pending` is what a bank still has to pay."""

    def work(db: Db) -> list[Payout]:
        return list_payouts(db, state=State(state) if state else None, limit=LISTED_MAX)

    _list(console_.run(work), "No payouts.", as_json=as_json)


@payout.command(name="paid")
@click.argument("payout_id")
@click.option("--reference", required=True, help="By which the bank knows the transfer.")
@json_option
@click.pass_obj
def paid(console_: Console, payout_id: str, reference: str, *, as_json: bool) -> None:
    """Say that a payout was paid."""
    known = read_name(reference, field="reference", label="The reference")
    _tell(console_, payout_id, Event.PAID, reference=known, as_json=as_json)


@payout.command(name="failed")
@click.argument("payout_id")
@click.option("--why", required=True, help="Shown to the site's owner.")
@json_option
@click.pass_obj
def failed(console_: Console, payout_id: str, why: str, *, as_json: bool) -> None:
    """Say that a payout will not be paid; the money is the site's again."""
    words = read_name(why, field="why", label="The reason")
    _tell(console_, payout_id, Event.REFUSED, why=words, as_json=as_json)


@payout.command(name="returned")
@click.argument("payout_id")
@click.option("--why", required=True, help="Shown to the site's owner.")
@json_option
@click.pass_obj
def returned(console_: Console, payout_id: str, why: str, *, as_json: bool) -> None:
    """Say that a payout came back; the money is the site's again."""
    words = read_name(why, field="why", label="The reason")
    _tell(console_, payout_id, Event.RETURNED, why=words, as_json=as_json)


@payout.command(name="clawback")
@click.argument("site_id")
@click.argument("amount")
@click.option("--key", required=True, help="Names this case: it is done once.")
@click.option("--reason", required=True, help="Shown in the books, audited.")
@json_option
@click.pass_obj
def take_back(
    console_: Console, site_id: str, amount: str, key: str, reason: str, *, as_json: bool
) -> None:
    """Take back what a site did not earn; what is not there, it owes."""
    micros = read_amount(amount)
    key = read_name(key, field="key", label="The key")
    memo = read_name(reason, field="reason", label="The reason")

    def work(db: Db) -> int | None:
        get_site(db, site_id)
        return claw_back(db, site_id, micros, memo=memo, key=key, actor=console(), now_ms=now_ms())

    done = console_.run(work) is not None
    was = "" if done else ": was done before; nothing was done now"
    told({"posted": done}, f"{show_amount(micros)} taken back{was}.", as_json=as_json)


def _tell(
    console_: Console,
    payout_id: str,
    event: Event,
    *,
    reference: str = "",
    why: str = "",
    as_json: bool,
) -> None:
    state = console_.run(
        operations.tell,
        payout_id,
        event,
        reference=reference,
        why=why,
        actor=console(),
        now_ms=now_ms(),
    )
    told({"payout_id": payout_id, "state": state.value}, f"{payout_id}: {state}", as_json=as_json)


def _list(found: list[Payout], nothing: str, *, as_json: bool) -> None:
    data: list[dict[str, Any]] = [
        {
            "payout_id": one.payout_id,
            "site_id": one.site_id,
            "micros": one.micros,
            "state": one.state.value,
            "sender": one.sender,
            "destination": one.destination,
            "reference": one.reference,
            "why": one.why,
            "created_at_ms": one.created_at_ms,
        }
        for one in found
    ]
    lines = [
        f"{one.payout_id}  {one.state.value:<9}{show_amount(one.micros):>14}  {one.site_id}  "
        f"{one.sender}: {one.destination}"
        for one in found
    ]
    told(data, "\n".join(lines) or nothing, as_json=as_json)

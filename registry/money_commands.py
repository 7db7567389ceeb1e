"""Commands about money: what came in, grants, credit, tax, and setting the books right."""

from typing import Any

import click

from protocol.clock import DAY_MS
from protocol.money import read_amount, show_amount
from registry.adjustments import operations as adjustments
from registry.commands import Console, json_option, now_ms, told
from registry.ledger.operations import add_funds
from registry.ledger.queries import get_balance
from registry.store.database import Db
from registry.tenants.naming import read_name
from registry.tenants.queries import get_tenant
from registry.tenants.roles import console

GRANT_DAYS_MAX = 3650

reason_option = click.option("--reason", required=True, help="Shown in the ledger, audited.")
reference_option = click.option(
    "--reference", required=True, help="The bank's reference: noted once, ever."
)


@click.command(name="top-up")
@click.argument("tenant_id")
@click.argument("amount")
@click.option("--reference", required=True, help="The bank's reference: noted once, ever.")
@json_option
@click.pass_obj
def top_up(
    console_: Console, tenant_id: str, amount: str, reference: str, *, as_json: bool
) -> None:
    """Note money that an organization paid in by bank transfer."""
    micros = read_amount(amount)
    reference = read_name(reference, field="reference", label="The reference")

    def work(db: Db) -> dict[str, Any]:
        get_tenant(db, tenant_id)
        posted = add_funds(
            db,
            tenant_id,
            src=f"bank:{reference}",
            micros=micros,
            memo=f"Bank transfer {reference}",
            now_ms=now_ms(),
        )
        return {
            "posted": posted is not None,
            "available_micros": get_balance(db, tenant_id).available,
        }

    data = console_.run(work)
    was = "noted" if data["posted"] else "was noted before; nothing was done"
    free = show_amount(data["available_micros"])
    told(data, f"{show_amount(micros)} {was}; {free} is free to spend.", as_json=as_json)


@click.command()
@click.argument("tenant_id")
@click.argument("amount")
@reference_option
@json_option
@click.pass_obj
def refund(
    console_: Console, tenant_id: str, amount: str, reference: str, *, as_json: bool
) -> None:
    """Note money that was paid back to an organization by bank transfer."""
    micros = read_amount(amount)
    reference = read_name(reference, field="reference", label="The reference")

    def work(db: Db) -> int | None:
        get_tenant(db, tenant_id)
        return adjustments.refund_by_bank(
            db, tenant_id, micros, reference=reference, actor=console(), now_ms=now_ms()
        )

    _told_posted(console_.run(work), f"{show_amount(micros)} paid back", as_json=as_json)


@click.command(name="write-off")
@click.argument("tenant_id")
@click.argument("amount")
@click.option("--key", required=True, help="Names this write-off: it is done once.")
@reason_option
@json_option
@click.pass_obj
def write_off(
    console_: Console, tenant_id: str, amount: str, key: str, reason: str, *, as_json: bool
) -> None:
    """Give up what an organization owes."""
    micros = read_amount(amount)
    key = read_name(key, field="key", label="The key")
    memo = read_name(reason, field="reason", label="The reason")

    def work(db: Db) -> int | None:
        get_tenant(db, tenant_id)
        return adjustments.write_off(
            db, tenant_id, micros, memo=memo, actor=console(), now_ms=now_ms(), key=key
        )

    _told_posted(console_.run(work), f"{show_amount(micros)} written off", as_json=as_json)


@click.group()
def promo() -> None:
    """Promotional grants."""


@promo.command(name="grant")
@click.argument("tenant_id")
@click.argument("name")
@click.argument("amount")
@click.option(
    "--days", type=click.IntRange(1, GRANT_DAYS_MAX), help="It expires after so many; else never."
)
@json_option
@click.pass_obj
def grant_promo(
    console_: Console, tenant_id: str, name: str, amount: str, days: int | None, *, as_json: bool
) -> None:
    """Give an organization money to spend before its own; each name once."""
    micros = read_amount(amount)

    def work(db: Db) -> int | None:
        get_tenant(db, tenant_id)
        at_ms = now_ms()
        return adjustments.grant_promo(
            db,
            tenant_id,
            grant=name,
            micros=micros,
            expires_at_ms=None if days is None else at_ms + days * DAY_MS,
            memo=f"Grant {name}",
            actor=console(),
            now_ms=at_ms,
        )

    _told_posted(console_.run(work), f"{show_amount(micros)} granted as {name}", as_json=as_json)


@click.group()
def credit() -> None:
    """What organizations may owe."""


@credit.command(name="set")
@click.argument("tenant_id")
@click.argument("amount")
@json_option
@click.pass_obj
def set_credit(console_: Console, tenant_id: str, amount: str, *, as_json: bool) -> None:
    """Set how much an organization may owe; 0 for nothing."""
    micros = read_amount(amount)

    def work(db: Db) -> dict[str, int]:
        get_tenant(db, tenant_id)
        adjustments.set_credit(db, tenant_id, micros, actor=console(), now_ms=now_ms())
        balance = get_balance(db, tenant_id)
        return {
            "credit_limit_micros": balance.credit_limit,
            "available_micros": balance.available,
        }

    data = console_.run(work)
    free = show_amount(data["available_micros"])
    told(data, f"{tenant_id} may owe {show_amount(micros)}; {free} is free.", as_json=as_json)


@click.group()
def tax() -> None:
    """Tax in what organizations pay."""


@tax.command(name="set")
@click.argument("tenant_id")
@click.argument("jurisdiction")
@click.argument("basis_points", type=int)
@json_option
@click.pass_obj
def set_tax(
    console_: Console, tenant_id: str, jurisdiction: str, basis_points: int, *, as_json: bool
) -> None:
    """Set the tax in later payments: DE 1900 is 19 % for Germany; a rate of 0 ends it."""

    def work(db: Db) -> None:
        get_tenant(db, tenant_id)
        adjustments.set_tax(
            db,
            tenant_id,
            jurisdiction=jurisdiction,
            basis_points=basis_points,
            actor=console(),
            now_ms=now_ms(),
        )

    console_.run(work)
    data = {"tenant_id": tenant_id, "jurisdiction": jurisdiction, "basis_points": basis_points}
    told(data, f"{tenant_id} pays {basis_points / 100:g} % to {jurisdiction}.", as_json=as_json)


@click.command(name="undo")
@click.argument("src")
@reason_option
@json_option
@click.pass_obj
def undo(console_: Console, src: str, reason: str, *, as_json: bool) -> None:
    """Undo a journal exactly, and the site's share of it."""
    memo = read_name(reason, field="reason", label="The reason")
    done = console_.run(adjustments.reverse, src, memo=memo, actor=console(), now_ms=now_ms())
    _told_posted(done, f"{src} undone", as_json=as_json)


@click.command(name="set-right")
@click.argument("src")
@click.argument("amounts", nargs=-1, required=True)
@reason_option
@json_option
@click.pass_obj
def set_right(
    console_: Console, src: str, amounts: tuple[str, ...], reason: str, *, as_json: bool
) -> None:
    """Undo a usage journal and post what it should have charged: gpu=1.25 inference=0.10."""
    memo = read_name(reason, field="reason", label="The reason")
    pairs = [word.partition("=") for word in amounts]
    done = console_.run(
        adjustments.set_right,
        src,
        {name: read_amount(amount, field=name) for name, _, amount in pairs},
        share_basis_points=console_.config().site_share_basis_points,
        memo=memo,
        actor=console(),
        now_ms=now_ms(),
    )
    _told_posted(done, f"{src} set right", as_json=as_json)


MONEY = (top_up, refund, write_off, promo, credit, tax)
"""Commands of their own."""

LEDGER = (undo, set_right)
"""Commands of the group `ledger`."""


def _told_posted(journal_id: Any, what: str, *, as_json: bool) -> None:
    was = "" if journal_id is not None else ": was done before; nothing was done now"
    told({"posted": journal_id is not None}, f"{what}{was}.", as_json=as_json)

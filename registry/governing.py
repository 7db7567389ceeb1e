"""Commands by which the operator says on which terms an organization may spend here."""

from typing import Any, get_args

import click

from registry.commands import Console, json_option, now_ms, told
from registry.leases import operations
from registry.leases.terms import Trust
from registry.store.database import Db
from registry.tenants.queries import get_tenant
from registry.tenants.roles import console


@click.command()
@click.argument("tenant_id")
@click.argument("trust", type=click.Choice(get_args(Trust)))
@json_option
@click.pass_obj
def trust(console_: Console, tenant_id: str, trust: Trust, *, as_json: bool) -> None:
    """Say how an organization is known: for how long a node that is cut off may work for it."""

    def work(db: Db) -> str:
        name = get_tenant(db, tenant_id).name
        operations.change_trust(db, tenant_id, trust, actor=console(), now_ms=now_ms())
        return name

    name = console_.run(work)
    told(_standing(console_, tenant_id), f"{name} is {trust}.", as_json=as_json)


@click.command()
@click.argument("tenant_id")
@click.option("--why", required=True, help="The reason; the organization reads it.")
@json_option
@click.pass_obj
def suspend(console_: Console, tenant_id: str, why: str, *, as_json: bool) -> None:
    """Take an organization's spending right back; its work ends in order."""

    def work(db: Db) -> str:
        name = get_tenant(db, tenant_id).name
        operations.suspend(db, tenant_id, why, actor=console(), now_ms=now_ms())
        return name

    name = console_.run(work)
    words = f"{name} is suspended; its work ends with the next call of each node."
    told(_standing(console_, tenant_id), words, as_json=as_json)


@click.command()
@click.argument("tenant_id")
@json_option
@click.pass_obj
def resume(console_: Console, tenant_id: str, *, as_json: bool) -> None:
    """Let a suspended organization work again."""

    def work(db: Db) -> tuple[str, bool]:
        name = get_tenant(db, tenant_id).name
        return name, operations.resume(db, tenant_id, actor=console(), now_ms=now_ms())

    name, changed = console_.run(work)
    words = f"{name} may work again." if changed else f"{name} was not suspended."
    told(_standing(console_, tenant_id), words, as_json=as_json)


GOVERNING = (trust, suspend, resume)


def _standing(console_: Console, tenant_id: str) -> dict[str, Any]:
    terms = console_.run(operations.find_terms, tenant_id)
    return {
        "tenant_id": tenant_id,
        "trust": terms.trust,
        "suspended_at_ms": terms.suspended_at_ms,
        "suspended_why": terms.suspended_why,
    }

"""Commands by which the operator says on which terms organizations spend and sites serve here."""

from typing import Any, get_args

import click

from registry.commands import Console, json_option, now_ms, told
from registry.leases import operations
from registry.leases.terms import Trust
from registry.market.operations import close_site, open_site
from registry.sites.queries import get_site
from registry.sites.site import Site
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


@click.command(name="open")
@click.argument("site_id")
@json_option
@click.pass_obj
def open_(console_: Console, site_id: str, *, as_json: bool) -> None:
    """Open a site to the market: its nodes get work, keys and budget of every organization."""

    def work(db: Db) -> tuple[Site, bool]:
        opened = open_site(db, site_id, actor=console(), now_ms=now_ms())
        return get_site(db, site_id), opened

    site, changed = console_.run(work)
    words = f"{site.name} is open to the market." if changed else f"{site.name} was open before."
    told({"site_id": site_id, "is_open": site.is_open}, words, as_json=as_json)


@click.command()
@click.argument("site_id")
@json_option
@click.pass_obj
def close(console_: Console, site_id: str, *, as_json: bool) -> None:
    """Close a site to the market: what others run there ends, their charging stops now."""

    def work(db: Db) -> tuple[Site, int | None]:
        ended = close_site(db, site_id, actor=console(), now_ms=now_ms())
        return get_site(db, site_id), ended

    site, ended = console_.run(work)
    words = f"{site.name} serves its own organization alone; {ended or 0} workloads of others end."
    data = {"site_id": site_id, "is_open": site.is_open, "workloads_ended": ended or 0}
    told(data, words, as_json=as_json)


GOVERNING = (trust, suspend, resume)
OF_SITES = (open_, close)


def _standing(console_: Console, tenant_id: str) -> dict[str, Any]:
    terms = console_.run(operations.find_terms, tenant_id)
    return {
        "tenant_id": tenant_id,
        "trust": terms.trust,
        "suspended_at_ms": terms.suspended_at_ms,
        "suspended_why": terms.suspended_why,
    }

"""Commands that set a registry up: organizations, what is sold, sites, nodes, keys."""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from protocol.ids import ENTROPY_BYTES
from protocol.ids import new_id as make_id
from protocol.manifest import read_manifest_json
from protocol.signing import key_id, public_bytes
from registry.access.operations import NewKey, create_key
from registry.accounts.operations import Caller, ensure_person
from registry.accounts.sign_in import read_email
from registry.apps.operations import publish
from registry.catalogue.operations import load_catalogue
from registry.catalogue.sku import read_catalogue
from registry.config import Config, database_url, read_config
from registry.drivers.keyfile import read_key
from registry.incidents.queries import list_open
from registry.market.operations import open_site
from registry.nodes.enrolment import NodeFacts
from registry.nodes.operations import add_node, issue_secret
from registry.nodes.queries import list_accelerators, list_nodes
from registry.nodes.standing import standing
from registry.sites.definition import NodeDefinition, read_site_definition
from registry.sites.operations import add_site, find_same_site
from registry.sites.queries import list_site_ids
from registry.sites.site import differences
from registry.store.database import Database, Db
from registry.store.migrate import check_schema
from registry.tenants.operations import create_organization
from registry.tenants.queries import get_tenant, list_projects, list_tenants
from registry.tenants.roles import SignedIn, console
from web.format import plural

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@dataclass
class Console:
    """What every command has: the configuration, time and entropy, and a way to answer."""

    path: Path

    def config(self) -> Config:
        """Return the configuration."""
        return read_config(self.path)

    def run(self, work: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Return `work(db, …)`, done as one unit on the configured database."""
        database = Database(database_url(self.config()))
        try:
            check_schema(database)
            return database.run(work, *args, **named)
        finally:
            database.close()


def now_ms() -> int:
    """Return the time, UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000


def new_id(kind: str) -> str:
    """Return a fresh id."""
    return make_id(kind, now_ms=now_ms(), entropy=secrets.token_bytes(ENTROPY_BYTES))


def told(data: Any, words: str, *, as_json: bool) -> None:
    """Answer on stdout: one JSON object for programs, words for people."""
    if as_json:
        click.echo(msgspec.json.encode({"ok": True, "data": data}).decode())
    else:
        click.echo(words)


@click.group()
def organization() -> None:
    """Organizations."""


@organization.command(name="add")
@click.argument("name")
@click.option("--owner", required=True, help="E-mail address of its owner.")
@json_option
@click.pass_obj
def add_organization(console_: Console, name: str, owner: str, *, as_json: bool) -> None:
    """Create an organization that uses and hosts GPUs, with its first project."""
    admins = frozenset(console_.config().platform_admins)

    def work(db: Db) -> Any:
        actor = _owner(db, read_email(owner), admins)
        return create_organization(
            db,
            name,
            use_case="",
            intent="both",
            actor=actor,
            now_ms=now_ms(),
            new_id=new_id,
        )

    made = console_.run(work)
    data = {"tenant_id": made.tenant_id, "project_id": made.project_id}
    told(data, f"{name}: {made.tenant_id}, project {made.project_id}", as_json=as_json)


@organization.command(name="ls")
@json_option
@click.pass_obj
def list_organizations(console_: Console, *, as_json: bool) -> None:
    """List the organizations with their projects and how many sites they own."""

    def work(db: Db) -> list[dict[str, Any]]:
        return [
            {
                "tenant_id": one.tenant_id,
                "name": one.name,
                "intent": one.intent,
                "projects": [
                    {"project_id": project.project_id, "name": project.name}
                    for project in list_projects(db, one.tenant_id)
                ],
                "sites": len(list_site_ids(db, one.tenant_id)),
            }
            for one in list_tenants(db)
        ]

    data = console_.run(work)
    lines = []
    for one in data:
        lines.append(f"{one['tenant_id']}  {one['name']}, {plural(one['sites'], 'site')}")
        lines += [f"  {made['project_id']}  {made['name']}" for made in one["projects"]]
    told(data, "\n".join(lines) or "No organizations yet.", as_json=as_json)


@click.group()
def catalogue() -> None:
    """What is sold."""


@catalogue.command(name="load")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
def load(console_: Console, file: Path, *, as_json: bool) -> None:
    """Add the SKUs of a file, and new versions of prices that differ."""
    read = read_catalogue(file.read_bytes())
    loaded = console_.run(load_catalogue, read, actor=console(), now_ms=now_ms())
    data = {"skus": loaded.skus, "prices": len(loaded.prices)}
    words = f"{len(loaded.skus)} SKUs added, {len(loaded.prices)} price versions added"
    told(data, words, as_json=as_json)


@click.group()
def site() -> None:
    """Sites."""


@site.command(name="add")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--organization", "tenant_id", required=True, help="Id of the owner's organization.")
@click.option("--open", "is_open", is_flag=True, help="Open it to every organization at once.")
@json_option
@click.pass_obj
def add_site_(
    console_: Console, file: Path, tenant_id: str, *, is_open: bool, as_json: bool
) -> None:
    """Create what a site.toml names and is not there yet, and show each new secret once.

    It serves its own organization alone until it is opened.  Run again it adds nodes that are new
    in the file; what exists is never changed.
    """
    definition = read_site_definition(file.read_bytes())
    registry_key_id = _registry_key_id(console_.config())

    def work(db: Db) -> dict[str, Any]:
        get_tenant(db, tenant_id)
        known = find_same_site(db, definition.facts, tenant_id=tenant_id)
        made = known or add_site(
            db,
            definition.facts,
            tenant_id=tenant_id,
            actor=console(),
            now_ms=now_ms(),
            new_id=new_id,
        )
        there = {
            one.name: one.node_id for one in list_nodes(db, site_id=made.site_id, retired=True)
        }
        nodes = [
            {"node_id": there[node.name], "name": node.name, "created": False, "secret": None}
            if node.name in there
            else _add_node(db, node, site_id=made.site_id, registry_key_id=registry_key_id)
            for node in definition.nodes
        ]
        if is_open and known is None:
            open_site(db, made.site_id, actor=console(), now_ms=now_ms())
        return {
            "site_id": made.site_id,
            "name": made.name,
            "created": known is None,
            "differs": differences(made, definition.facts),
            "nodes": nodes,
        }

    data = console_.run(work)
    told(data, "\n".join(_site_lines(data)), as_json=as_json)


@click.group()
def node() -> None:
    """Nodes."""


@node.command(name="ls")
@json_option
@click.pass_obj
def list_nodes_(console_: Console, *, as_json: bool) -> None:
    """List the nodes with how they stand."""

    def work(db: Db) -> list[dict[str, Any]]:
        return [
            {
                "node_id": one.node_id,
                "name": one.name,
                "site": one.site_name,
                "simulated": one.simulated,
                "accelerators": [card.model for card in list_accelerators(db, one.node_id)],
                "standing": standing(
                    one.last_contact_at_ms,
                    [finding.severity for finding in list_open(db, node_id=one.node_id)],
                    now_ms=now_ms(),
                    is_retired=one.revoked,
                ),
            }
            for one in list_nodes(db)
        ]

    data = console_.run(work)
    lines = [f"{one['node_id']}  {one['standing']:<10}{one['name']}, {one['site']}" for one in data]
    told(data, "\n".join(lines) or "No nodes yet.", as_json=as_json)


@node.command(name="secret")
@click.argument("node_id")
@json_option
@click.pass_obj
def make_secret(console_: Console, node_id: str, *, as_json: bool) -> None:
    """Make a new enrolment secret for a node; the one that waited before is revoked."""
    registry_key_id = _registry_key_id(console_.config())
    _, secret = console_.run(_issue, node_id, registry_key_id=registry_key_id)
    told({"secret": secret}, secret, as_json=as_json)


@click.group()
def key() -> None:
    """API keys."""


@key.command(name="add")
@click.argument("project_id")
@click.option("--name", required=True)
@click.option("--owner", required=True, help="E-mail address of whoever will answer for it.")
@json_option
@click.pass_obj
def add_key(console_: Console, project_id: str, name: str, owner: str, *, as_json: bool) -> None:
    """Make an API key for a project and show it once."""

    def work(db: Db) -> tuple[str, str]:
        return create_key(
            db,
            NewKey(name=f"{name} ({owner})"),
            project_id=project_id,
            actor=console(),
            now_ms=now_ms(),
            new_id=new_id,
            entropy=secrets.token_bytes,
        )

    made_id, secret = console_.run(work)
    data = {"key_id": made_id, "key": secret, "prefix": secret[:7]}
    told(data, secret, as_json=as_json)


@click.group()
def app() -> None:
    """Apps."""


@app.command(name="publish")
@click.argument("slug")
@click.argument("version")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True)
@json_option
@click.pass_obj
def publish_(
    console_: Console, slug: str, version: str, file: Path, name: str, *, as_json: bool
) -> None:
    """Publish a manifest (JSON) as a version of an app."""
    manifest = read_manifest_json(file.read_bytes())
    console_.run(publish, slug, version, name, manifest, actor=console(), now_ms=now_ms())
    told({"slug": slug, "version": version}, f"{slug} {version} is published.", as_json=as_json)


SET_UP = (organization, catalogue, site, node, key, app)


def _owner(db: Db, email: str, admins: frozenset[str]) -> SignedIn:
    caller = Caller(
        now_ms=now_ms(),
        source="console",
        request_id="",
        new_id=new_id,
        entropy=secrets.token_bytes,
        admins=admins,
    )
    person = ensure_person(db, email, caller=caller)
    return SignedIn(
        person_id=person.person_id,
        api_key_id=None,
        email=person.email,
        tenant_id=None,
        project_id=None,
        roles=frozenset(),
        source="console",
    )


def _site_lines(data: dict[str, Any]) -> Iterator[str]:
    yield f"{data['name']}: {data['site_id']}" + ("" if data["created"] else ", was there before")
    if data["differs"]:
        yield f"  not changed, though the file differs: {', '.join(data['differs'])}"
    for one in data["nodes"]:
        secret = one["secret"] or "was there before; `node secret ID` makes a new secret"
        yield f"  {one['name']}: {one['node_id']}  {secret}"


def _add_node(
    db: Db, node_: NodeDefinition, *, site_id: str, registry_key_id: str
) -> dict[str, Any]:
    facts = NodeFacts(
        name=node_.name,
        external_id=node_.external_id,
        accelerator=node_.accelerator,
        gpu_count=node_.count,
        power_w=node_.power_w,
        latency_ms=node_.latency_ms,
    )
    node_id = add_node(db, facts, site_id=site_id, actor=console(), now_ms=now_ms(), new_id=new_id)
    _, secret = _issue(db, node_id, registry_key_id=registry_key_id)
    return {"node_id": node_id, "name": node_.name, "created": True, "secret": secret}


def _issue(db: Db, node_id: str, *, registry_key_id: str) -> tuple[str, str]:
    return issue_secret(
        db,
        node_id,
        registry_key_id=registry_key_id,
        actor=console(),
        now_ms=now_ms(),
        new_id=new_id,
        entropy=secrets.token_bytes,
    )


def _registry_key_id(config: Config) -> str:
    return key_id(public_bytes(read_key(Path(config.key_file))))

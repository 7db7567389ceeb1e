"""Pages of the nodes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Blueprint, current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue

from protocol.enrolment import shown_secret
from protocol.signing import key_id, public_bytes
from registry.accounts.queries import get_emails
from registry.audit.queries import list_events
from registry.nodes import operations, queries
from registry.nodes.enrolment import (
    ACCELERATORS,
    EXTERNAL_ID_CHARACTERS_MAX,
    GPUS_MAX,
    LATENCY_MS_MAX,
    POWER_W_MAX,
    NodeFacts,
)
from registry.nodes.node import Node
from registry.nodes.pages import Known, NodeFigures, key_rows, node_page, nodes_page, waiting_page
from registry.server.forms import form_values, read_choice, read_count, refilled
from registry.server.idempotency import Kept, once
from registry.server.live import is_part_wanted, live_answer
from registry.server.page import shell
from registry.server.session import actor, db, entropy, new_id, now_ms, signed_in
from registry.server.settings import settings
from registry.sites.queries import list_sites
from registry.store.database import Db
from registry.tenants.roles import may, require
from web.view_models.allocations import WorkloadRow
from web.view_models.nodes import NewNodePage, NodeKeysPage
from web.view_models.parts import Activity, Choice, Form, NewSecret

EXTENSION = "outstation-nodes"
ACTIVITY_ROWS = 20

pages = Blueprint("nodes", __name__)


@dataclass(frozen=True, slots=True)
class NodeSources:
    """What the pages ask later rooms.

    figures    by node id
    workloads  on one node, of one organization where named: others' work is not shown
    """

    figures: Callable[[Db, Iterable[Node], int], dict[str, NodeFigures]]
    workloads: Callable[[Db, Node, str | None, int], tuple[WorkloadRow, ...]]


@pages.get("/nodes")
@signed_in
def list_nodes() -> ResponseReturnValue:
    """Return the nodes at the organization's sites; a platform admin sees all."""
    require(actor(), "node.view")
    with db().reading():
        found = queries.list_nodes(
            db(), tenant_id=_scope(), site_id=request.args.get("site") or None
        )
        known = _known(found)
    page = nodes_page(
        known,
        now_ms=now_ms(),
        live_url=request.full_path.rstrip("?"),
        typed_filter=request.args.get("filter", "").strip()[:200],
    )
    return live_answer(
        "registry/nodes/list.html", "registry/nodes/_rows.html", page=page, shell=shell
    )


@pages.get("/nodes/<node_id>")
@signed_in
def show_node(node_id: str) -> ResponseReturnValue:
    """Return one node, or with `part=waiting` how far it is on its way to online."""
    if request.args.get("part") == "waiting":
        return _waiting(node_id)
    with db().reading():
        node = _own_node(node_id)
        (one,) = _known([node])
        workloads = _sources().workloads(db(), node, _scope(), now_ms())
        activity = _activity(node_id)
    page = node_page(
        one,
        now_ms=now_ms(),
        workloads=workloads,
        held={row.allocation_id: (row.name, row.href) for row in workloads},
        activity=activity,
        can_operate=may(actor(), "node.operate", tenant_id=node.tenant_id),
        idempotency_key="" if is_part_wanted() else new_id("request"),
    )
    return live_answer(
        "registry/nodes/show.html", "registry/nodes/_live.html", page=page, shell=shell
    )


def _new_node_page(*, form: Form) -> str:
    with db().reading():
        sites = list_sites(db(), tenant_id=actor().tenant_id)
    page = NewNodePage(
        sites=tuple(Choice(site.site_id, f"{site.name}, {site.city}") for site in sites),
        accelerators=tuple(Choice(name, name) for name in ACCELERATORS),
        idempotency_key=form.value("idempotency_key") or new_id("request"),
        form=form,
    )
    return render_template("registry/nodes/new.html", page=page, shell=shell())


@pages.get("/nodes/new")
@signed_in
def show_new_node() -> ResponseReturnValue:
    """Return the form that adds a node."""
    require(actor(), "node.create")
    return _new_node_page(form=Form(values={"site": request.args.get("site", "")}))


@pages.post("/nodes/new")
@signed_in
@refilled(_new_node_page)
def add_node() -> ResponseReturnValue:
    """Add a node and show its enrolment secret, this once; sent twice, one is added."""
    facts = NodeFacts(
        name=request.form.get("name", ""),
        external_id=request.form.get("external_id", "").strip()[:EXTERNAL_ID_CHARACTERS_MAX],
        accelerator=read_choice("accelerator", ACCELERATORS, label="Accelerator"),
        gpu_count=read_count("gpu_count", label="GPUs", least=1, most=GPUS_MAX),
        power_w=_count_or_none("power_w", "Power draw", POWER_W_MAX),
        latency_ms=_count_or_none("latency_ms", "Latency estimate", LATENCY_MS_MAX),
    )
    site_id = request.form.get("site", "")
    made: list[str] = []
    with db().unit():
        kept = once(lambda: _add(facts, site_id, made))
    return _key_page(kept.body, made)


@pages.post("/nodes/<node_id>/keys")
@signed_in
def issue_key(node_id: str) -> ResponseReturnValue:
    """Make a new enrolment secret for a node and show it, this once."""
    made: list[str] = []
    with db().unit():
        once(lambda: Kept(200, _issue(node_id, made)))
    return _key_page(node_id, made)


@pages.get("/nodes/keys")
@signed_in
def list_keys() -> ResponseReturnValue:
    """Return the enrolment secrets of the organization's nodes, by prefix."""
    require(actor(), "node.view")
    with db().reading():
        names = {
            node.node_id: node.name
            for node in queries.list_nodes(db(), tenant_id=_scope(), retired=True)
        }
        secrets = queries.list_secrets(db(), names)
        makers = get_emails(db(), (secret.created_by for secret in secrets))
    page = NodeKeysPage(now_ms=now_ms(), rows=key_rows(secrets, names, makers, now_ms=now_ms()))
    return render_template("registry/nodes/keys.html", page=page, shell=shell())


@pages.post("/nodes/keys/<key_id>/revoke")
@signed_in
def revoke_key(key_id: str) -> ResponseReturnValue:
    """Revoke a node key; a node that used it is no longer trusted."""
    with db().unit():
        operations.revoke_secret(db(), key_id, actor=actor(), now_ms=now_ms())
    return redirect("/nodes/keys", code=303)


def _add(facts: NodeFacts, site_id: str, made: list[str]) -> Kept:
    node_id = operations.add_node(
        db(), facts, site_id=site_id, actor=actor(), now_ms=now_ms(), new_id=new_id
    )
    return Kept(200, _issue(node_id, made))


def _issue(node_id: str, made: list[str]) -> str:
    # Only the node's id is kept for a second sending: a secret is shown once or never.
    _own_node(node_id)
    _, secret = operations.issue_secret(
        db(),
        node_id,
        registry_key_id=key_id(public_bytes(settings().key)),
        actor=actor(),
        now_ms=now_ms(),
        new_id=new_id,
        entropy=entropy,
    )
    made.append(secret)
    return node_id


def _key_page(node_id: str, made: list[str]) -> str:
    with db().reading():
        (one,) = _known([_own_node(node_id)])
        secrets = queries.list_secrets(db(), [node_id])
    shown = _shown(one.node, made[0]) if made else None
    page = waiting_page(
        one, secrets[0], now_ms=now_ms(), registry_host=_registry_host(), shown=shown
    )
    return render_template("registry/nodes/new_key.html", page=page, shell=shell())


def _waiting(node_id: str) -> ResponseReturnValue:
    with db().reading():
        (one,) = _known([_own_node(node_id)])
        secrets = queries.list_secrets(db(), [node_id])
    newest = secrets[0] if secrets else None
    page = waiting_page(one, newest, now_ms=now_ms(), registry_host=_registry_host())
    return live_answer(
        "registry/nodes/new_key.html", "registry/nodes/_waiting.html", page=page, shell=shell
    )


def _scope() -> str | None:
    """Whose nodes and work are shown: the organization's, or everybody's to a platform admin."""
    return None if actor().is_platform_admin else actor().tenant_id


def _own_node(node_id: str) -> Node:
    node = queries.get_node(db(), node_id)
    require(actor(), "node.view", tenant_id=node.tenant_id)
    return node


def _known(nodes: list[Node]) -> list[Known]:
    cards = queries.list_every_accelerator(db(), [node.node_id for node in nodes])
    figures = _sources().figures(db(), nodes, now_ms())
    return [
        Known(
            node,
            tuple(card for card in cards if card.node_id == node.node_id),
            figures.get(node.node_id, NodeFigures()),
        )
        for node in nodes
    ]


def _activity(node_id: str) -> tuple[Activity, ...]:
    events = list_events(db(), object_id=node_id, limit=ACTIVITY_ROWS)
    people = get_emails(db(), (event.actor for event in events))
    words = {"node.created": "Added", "node.enrolled": "Enrolled with a node key"}
    return tuple(
        Activity(
            event.at_ms,
            people.get(event.actor, "the node" if event.actor == node_id else event.actor),
            words.get(event.action, event.action)
            + ("" if event.result == "done" else f": refused, {event.result}"),
        )
        for event in events
    )


def _shown(node: Node, secret: str) -> NewSecret:
    return NewSecret(
        title="The node's enrolment secret",
        value=secret,
        prefix=shown_secret(secret),
        file_name=f"{node.name}.secret",
        file_text=f"{secret}\n",
        command="sudo outstation-agent enrol",
        command_label=(
            f"Run this on the machine, with {settings().base_url} in its agent.toml, and paste the "
            "value where it asks: so it stands in no shell history"
        ),
    )


def _registry_host() -> str:
    return urlsplit(settings().base_url).netloc


def _count_or_none(field: str, label: str, most: int) -> int:
    if not form_values().get(field, "").strip():
        return 0
    return read_count(field, label=label, least=0, most=most)


def _sources() -> NodeSources:
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, NodeSources)
    return found

"""JSON: launch, look, release, and the receipts of what it came to."""

from flask import Blueprint, current_app, request
from flask.typing import ResponseReturnValue

from protocol.checkpoint import log_origin
from registry.allocations import operations, queries
from registry.allocations.answers import AllocationAnswer, allocation_answer, shape_answer
from registry.allocations.filter import read_filter
from registry.allocations.fleet import Market
from registry.allocations.launch_form import LaunchBody, read_launch_body
from registry.allocations.offers import MARKET
from registry.allocations.seen import SeenAllocation
from registry.server.envelope import answered, read_body
from registry.server.idempotency import Kept, once, sent_key
from registry.server.session import actor, db, new_id, now_ms, with_api_key
from registry.server.settings import settings
from registry.tenants.roles import not_found, require
from registry.usage.queries import list_costs

LISTED_MAX = 200

api = Blueprint("allocations_api", __name__)


@api.get("/api/v1/gpus")
@with_api_key
def list_gpus() -> ResponseReturnValue:
    """Answer every shape on sale: its id, what it holds, its price an hour, where it is free."""
    require(actor(), "sku.list")
    with db().reading():
        sold = operations.on_sale(db(), _tenant_id(), market=_market(), now_ms=now_ms())
    return answered([shape_answer(offer) for offer in sold.offers])


@api.get("/api/v1/allocations")
@with_api_key
def list_allocations() -> ResponseReturnValue:
    """Answer the project's workloads, youngest first; those that ended too with `all=1`."""
    require(actor(), "allocation.view")
    tabs = ("active", "history") if request.args.get("all") == "1" else ("active",)
    with db().reading():
        found = {one.allocation_id: one for tab in tabs for one in _listed(tab)}
    youngest = sorted(found.values(), key=lambda one: (-one.created_at_ms, one.allocation_id))
    return answered([allocation_answer(one, now_ms=now_ms()) for one in youngest])


@api.post("/api/v1/allocations")
@with_api_key
def launch_allocation() -> ResponseReturnValue:
    """Launch what the body asks for; sent again with the same key, it is launched once."""
    require(actor(), "allocation.launch")
    with db().unit():
        kept = once(_launched)
        answer = _whole(kept.body)
    return answered(answer, kept.status)


@api.get("/api/v1/allocations/<allocation_id>")
@with_api_key
def show_allocation(allocation_id: str) -> ResponseReturnValue:
    """Answer one workload with its state path and the addresses of its receipts."""
    with db().reading():
        answer = _whole(allocation_id)
    return answered(answer)


@api.post("/api/v1/allocations/<allocation_id>/release")
@with_api_key
def release_allocation(allocation_id: str) -> ResponseReturnValue:
    """End a workload; asked again, it says how far that is."""
    with db().unit():
        kept = once(lambda: _released(allocation_id))
        answer = _whole(kept.body)
    return answered(answer, kept.status)


def _listed(tab: str) -> list[SeenAllocation]:
    who = actor()
    assert who.tenant_id is not None
    return queries.list_seen(
        db(),
        who.tenant_id,
        project_id=who.project_id,
        tab=tab,
        wanted=read_filter(request.args.get("filter", "")),
        now_ms=now_ms(),
        limit=LISTED_MAX,
    )


def _launched() -> Kept:
    who = actor()
    assert who.project_id is not None
    made = operations.launch(
        db(),
        read_launch_body(read_body(LaunchBody), key=sent_key()),
        actor=who,
        project_id=who.project_id,
        market=_market(),
        now_ms=now_ms(),
        new_id=new_id,
    )
    return Kept(201, made.allocation_id)


def _tenant_id() -> str:
    tenant_id = actor().tenant_id
    assert tenant_id is not None
    return tenant_id


def _market() -> Market:
    market = current_app.extensions[MARKET](db())
    assert isinstance(market, Market)
    return market


def _released(allocation_id: str) -> Kept:
    _seen(allocation_id)
    operations.release(db(), allocation_id, actor=actor(), now_ms=now_ms())
    return Kept(202, allocation_id)


def _seen(allocation_id: str) -> SeenAllocation:
    """Return a workload of the key's project; any other is absent."""
    seen = queries.find_seen(db(), allocation_id)
    if seen is None or seen.project_id != actor().project_id:
        raise not_found("This workload")
    require(actor(), "allocation.view", tenant_id=seen.tenant_id)
    return seen


def _whole(allocation_id: str) -> AllocationAnswer:
    seen = _seen(allocation_id)
    base, domain = settings().base_url, settings().domain
    return allocation_answer(
        seen,
        now_ms=now_ms(),
        events=queries.list_seen_events(db(), allocation_id),
        receipts=(
            f"{base}/billing/receipts/{log_origin(domain, cost.node_id, cost.epoch)}/"
            f"{cost.last_index}"
            for cost in list_costs(db(), owner_id=allocation_id)
        ),
    )

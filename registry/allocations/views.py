"""Pages of the workloads: the list, one of them, and the one page that launches."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec
from urllib.parse import urlencode

from flask import Blueprint, current_app, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from protocol.checkpoint import log_origin
from protocol.refusal import Refusal
from registry.allocations import operations, queries
from registry.allocations.answers import allocation_answer
from registry.allocations.filter import WorkloadFilter, read_filter
from registry.allocations.fleet import Fleet, Market
from registry.allocations.launch_panel import (
    field_error,
    launch_page,
    page_form,
    read_launch,
    refused_fields,
    relaunch_fields,
    settled,
)
from registry.allocations.offers import MARKET, OfferedApp, Survey, smallest_hourly
from registry.allocations.panels import (
    CSV_HEADER,
    Beside,
    csv_row,
    gpu_row,
    workload_page,
    workload_row,
)
from registry.allocations.placement import NoCapacity
from registry.allocations.seen import TABS, SeenAllocation
from registry.apps.queries import list_apps
from registry.catalogue.queries import list_prices, list_skus
from registry.leases.operations import idle_by_node
from registry.ledger.queries import get_balance
from registry.nodes.queries import list_accelerators
from registry.server.envelope import answered
from registry.server.exports import csv_answer
from registry.server.forms import form_values
from registry.server.idempotency import Kept, once, sent_key
from registry.server.live import live_answer
from registry.server.page import shell
from registry.server.paging import PAGE_ROWS, cursor, page_of
from registry.server.session import actor, db, new_id, now_ms, signed_in
from registry.server.settings import settings
from registry.sites.countries import COUNTRIES
from registry.tenants.roles import may, not_found, require
from registry.usage.queries import StreamCost, list_costs
from web.view_models.allocations import ReceiptRow, WorkloadsPage

EXPORT_ROWS_MAX = 10_000
PREFILLED = ("sku", "gpu_count", "place", "image", "command", "environment", "kind", "name")

P = ParamSpec("P")

pages = Blueprint("allocations", __name__)


@pages.get("/workloads")
@signed_in
def list_workloads() -> ResponseReturnValue:
    """Return a tab of the project's workloads, as a page, CSV or JSON."""
    require(actor(), "allocation.view")
    tab = request.args.get("tab", TABS[0])
    if tab not in TABS:
        raise not_found("This tab")
    wanted = read_filter(request.args.get("filter", ""))
    shape = request.args.get("as", "")
    if shape in ("csv", "json"):
        return _export(tab, wanted, shape)
    page = _workloads_page(tab, wanted)
    whole, part = "registry/allocations/list.html", "registry/allocations/_rows.html"
    return live_answer(whole, part, page=page, shell=shell)


@pages.get("/workloads/<allocation_id>")
@signed_in
def show_workload(allocation_id: str) -> ResponseReturnValue:
    """Return one workload: its state path, what it costs and what it uses."""
    with db().reading():
        seen = _seen(allocation_id)
        events = queries.list_seen_events(db(), allocation_id)
        beside = _beside(seen)
    page = workload_page(seen, events, beside, now_ms=now_ms())
    whole, part = "registry/allocations/show.html", "registry/allocations/_live.html"
    return live_answer(whole, part, page=page, shell=shell)


@pages.post("/workloads/<allocation_id>/release")
@signed_in
def release_workload(allocation_id: str) -> ResponseReturnValue:
    """End a workload; asked twice, it ends once."""
    with db().unit():
        _seen(allocation_id)
        operations.release(db(), allocation_id, actor=actor(), now_ms=now_ms())
    return redirect(f"/workloads/{allocation_id}", code=303)


@pages.get("/launch")
@signed_in
def show_launch() -> ResponseReturnValue:
    """Return the launch page, filled from the address or from an earlier workload."""
    require(actor(), "allocation.launch")
    typed = {name: request.args[name] for name in PREFILLED if name in request.args}
    with db().reading():
        if "from" in request.args:
            typed |= relaunch_fields(_seen(request.args["from"]))
        known = _survey()
    page = launch_page(known, page_form(typed, known), key=new_id("request"))
    return render_template("registry/allocations/launch.html", page=page, shell=shell())


@pages.get("/launch/review")
@signed_in
def review_launch() -> ResponseReturnValue:
    """Return the review of what is chosen so far."""
    require(actor(), "allocation.launch")
    with db().reading():
        known = _survey()
    key = request.args.get("idempotency_key", "")
    page = launch_page(known, page_form(request.args, known), key=key)
    return render_template("registry/allocations/_review.html", page=page)


def kept_filled(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Answer a refused launch with its page as it was filled, and what stands in the way."""

    @wraps(view)
    def shown(*args: P.args, **named: P.kwargs) -> ResponseReturnValue:
        try:
            return view(*args, **named)
        except Refusal as refusal:
            if (
                refusal.field is None
                and refusal.status != 402
                and not isinstance(refusal, NoCapacity)
            ):
                raise
            return _refused_launch(refusal)

    return shown


@pages.post("/launch")
@signed_in
@kept_filled
def launch_workload() -> ResponseReturnValue:
    """Launch what the form asks for; sent twice, it launches once."""
    require(actor(), "allocation.launch")
    with db().unit():
        kept = once(_launched)
    return redirect(kept.body, code=303)


def _launched() -> Kept:
    who = actor()
    assert who.project_id is not None
    apps = {app.slug: app.manifest for app in _apps()}
    made = operations.launch(
        db(),
        read_launch(settled(form_values()), apps, key=sent_key()),
        actor=who,
        project_id=who.project_id,
        market=_market(),
        now_ms=now_ms(),
        new_id=new_id,
    )
    return Kept(303, f"/workloads/{made.allocation_id}")


def _refused_launch(refusal: Refusal) -> ResponseReturnValue:
    typed = settled(form_values())
    with db().reading():
        known = _survey()
    wrong = refused_fields(typed, {app.slug: app.manifest for app in known.apps})
    if refusal.field is not None and all(one.field != refusal.field for one in wrong):
        wrong.append(refusal)
    page = launch_page(
        known,
        page_form(typed, known),
        key=typed.get("idempotency_key", ""),
        errors=tuple(field_error(one) for one in wrong),
        refused=None if refusal.field is not None else refusal,
        reasons=refusal.reasons if isinstance(refusal, NoCapacity) else (),
    )
    shown = render_template("registry/allocations/launch.html", page=page, shell=shell())
    return make_response(shown, 422 if refusal.field is not None else refusal.status)


def _workloads_page(tab: str, wanted: WorkloadFilter) -> WorkloadsPage:
    who = actor()
    rows: Sequence[SeenAllocation]
    with db().reading():
        counts = queries.count_tabs(db(), _tenant_id(), project_id=who.project_id, now_ms=now_ms())
        rows, paging = page_of(
            _list(tab, wanted, limit=PAGE_ROWS + 1, before=_before()),
            lambda seen: (seen.created_at_ms, seen.allocation_id),
        )
        smallest = None if rows else _smallest_hourly()
    return WorkloadsPage(
        now_ms=now_ms(),
        live_url=request.full_path.rstrip("?"),
        tab=tab,
        counts=counts,
        rows=tuple(workload_row(seen, now_ms=now_ms()) for seen in rows),
        filter=wanted.text,
        paging=paging,
        csv_url=f"/workloads?{urlencode({'tab': tab, 'filter': wanted.text, 'as': 'csv'})}",
        can_launch=may(who, "allocation.launch"),
        smallest_price_micros_per_hour=smallest,
    )


def _export(tab: str, wanted: WorkloadFilter, shape: str) -> ResponseReturnValue:
    with db().reading():
        found = _list(tab, wanted, limit=EXPORT_ROWS_MAX)
    if shape == "csv":
        return csv_answer(f"workloads-{tab}", CSV_HEADER, map(csv_row, found))
    return answered([allocation_answer(seen, now_ms=now_ms()) for seen in found])


def _list(
    tab: str, wanted: WorkloadFilter, *, limit: int, before: tuple[int, str] | None = None
) -> list[SeenAllocation]:
    return queries.list_seen(
        db(),
        _tenant_id(),
        project_id=actor().project_id,
        tab=tab,
        wanted=wanted,
        now_ms=now_ms(),
        before=before,
        limit=limit,
    )


def _before() -> tuple[int, str] | None:
    match cursor():
        case None:
            return None
        case (int(at_ms), str(allocation_id)):
            return at_ms, allocation_id
    raise not_found("This page of the list")


def _tenant_id() -> str:
    tenant_id = actor().tenant_id
    assert tenant_id is not None
    return tenant_id


def _seen(allocation_id: str) -> SeenAllocation:
    """Return a workload of the reader's organization; any other is absent."""
    seen = queries.find_seen(db(), allocation_id)
    if seen is None:
        raise not_found("This workload")
    require(actor(), "allocation.view", tenant_id=seen.tenant_id)
    return seen


def _beside(seen: SeenAllocation) -> Beside:
    cards = list_accelerators(db(), seen.node_id) if seen.holds_accelerators else []
    costs = list_costs(db(), owner_id=seen.allocation_id)
    own = [card for card in cards if card.uuid in seen.accelerators]
    sees_node = may(actor(), "node.view", tenant_id=seen.site_tenant_id)
    return Beside(
        gpus=tuple(gpu_row(index, card) for index, card in enumerate(own)),
        receipts=tuple(_receipt(cost) for cost in costs),
        may_release=may(actor(), "allocation.release", tenant_id=seen.tenant_id),
        may_launch=may(actor(), "allocation.launch", tenant_id=seen.tenant_id),
        node_href=f"/nodes/{seen.node_id}" if sees_node else "",
    )


def _receipt(cost: StreamCost) -> ReceiptRow:
    """Return the row of a stream; the receipt of its last record proves all of it."""
    origin = log_origin(settings().domain, cost.node_id, cost.epoch)
    return ReceiptRow(
        from_at_ms=cost.begin_ms,
        to_at_ms=cost.end_ms,
        quantity=cost.quantity,
        unit=cost.meter,
        micros=cost.charged,
        href=f"/billing/receipts/{origin}/{cost.last_index}",
    )


def _market() -> Market:
    market = current_app.extensions[MARKET](db())
    assert isinstance(market, Market)
    return market


def _apps() -> tuple[OfferedApp, ...]:
    """Return the newest version of every app."""
    newest: dict[str, OfferedApp] = {}
    for app in list_apps(db()):
        newest.setdefault(app.slug, OfferedApp(app.slug, f"{app.name} {app.version}", app.manifest))
    return tuple(newest.values())


def _smallest_hourly() -> int | None:
    market = _market()
    sold = [sku for sku in list_skus(db()) if operations.is_sold(sku, market)]
    skus = {sku.sku_id: sku.accelerator_count for sku in sold}
    return smallest_hourly(list_prices(db(), skus), skus, now_ms=now_ms())


def _survey() -> Survey:
    """Return everything the launch page looks at."""
    sold = operations.on_sale(db(), _tenant_id(), market=_market(), now_ms=now_ms())
    balance = get_balance(db(), _tenant_id())
    idle = idle_by_node(db(), _tenant_id(), hourly_on=queries.hourly_by_tenant)
    return Survey(
        offers=sold.offers,
        apps=_apps(),
        places=_places(sold.fleet),
        available_micros=balance.available + max(idle.values(), default=0),
        left_micros=balance.total + balance.credit_limit,
        burn=queries.hourly_of(db(), _tenant_id()),
        candidates=sold.candidates,
        may_launch=may(actor(), "allocation.launch"),
    )


def _places(fleet: Fleet) -> tuple[tuple[str, str], ...]:
    countries = sorted({node.country for node in fleet.nodes})
    sites = sorted({(node.site_name, node.city, node.site_id) for node in fleet.nodes})
    return (
        *((f"country:{code}", f"Anywhere in {COUNTRIES.get(code, code)}") for code in countries),
        *((f"site:{site_id}", f"{name}, {city}") for name, city, site_id in sites),
    )

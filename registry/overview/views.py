"""Home, search, and the pages of money: what earlier rooms know, seen together."""

from dataclasses import dataclass

from flask import Blueprint, current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue

from protocol.clock import DAY_MS
from protocol.ids import is_id
from registry.access.queries import list_keys
from registry.allocations.filter import WorkloadFilter, read_filter
from registry.allocations.fleet import Market
from registry.allocations.offers import MARKET, smallest_hourly
from registry.allocations.operations import is_sold
from registry.allocations.panels import workload_row
from registry.allocations.queries import count_tabs, find_seen, list_seen, list_unsettled
from registry.allocations.seen import SeenAllocation
from registry.balances.operations import standing
from registry.balances.queries import list_payers
from registry.catalogue.queries import list_prices, list_skus
from registry.ledger.balance import Line
from registry.ledger.posture import Posture
from registry.ledger.queries import LINES_MAX, get_balance, list_lines
from registry.nodes.queries import list_nodes
from registry.overview.operations import site_figures, troubled_nodes
from registry.overview.queries import has_called, has_launched, was_funded
from registry.overview.search_hits import (
    ACTION_PAGES,
    HITS_PER_KIND,
    key_hits,
    node_hits,
    page_hits,
    site_hits,
)
from registry.overview.tenant_panels import (
    SPEND_DAYS,
    Begun,
    attention_items,
    funds_of,
    held_rows,
    ledger_row,
    setup_steps,
    spend_chart,
    stop_rows,
)
from registry.server.exports import csv_answer
from registry.server.live import live_answer
from registry.server.page import shell
from registry.server.paging import PAGE_ROWS, cursor, page_of
from registry.server.session import actor, db, now_ms, signed_in
from registry.sites.queries import list_site_ids, list_sites
from registry.statements.queries import names_of
from registry.tenants.queries import get_project, get_tenant
from registry.tenants.roles import is_in_scope, may, not_found, require
from registry.usage.queries import usage_by_day
from web.format import utc_iso
from web.navigation import places
from web.view_models.billing import BalancePage, LedgerPage, LedgerRow
from web.view_models.overview import Funds, HomePage, SearchHit, SearchPage, SiteTile
from web.view_models.parts import Chart

WORKLOADS_MAX = 50
TROUBLED_MAX = 20
UNSETTLED_MAX = 200
RECENT_LINES = 10
QUERY_CHARACTERS_MAX = 100
EXPORT_LINES_MAX = 10_000
LEDGER_CSV = (
    "at_utc", "what", "kind", "meter", "quantity", "micros", "balance_after", "source", "simulated",
)  # fmt: skip

pages = Blueprint("overview", __name__)


@dataclass(frozen=True, slots=True)
class Money:
    """An organization's money, read at one moment."""

    posture: Posture
    funds: Funds
    spend: Chart | None
    unsettled: list[SeenAllocation]


@pages.get("/")
@signed_in
def show_home() -> ResponseReturnValue:
    """Return the state of everything the reader works with."""
    with db().reading():
        page = _home_page()
    whole, part = "registry/overview/home.html", "registry/overview/_home.html"
    return live_answer(whole, part, page=page, shell=shell)


@pages.get("/search")
@signed_in
def search() -> ResponseReturnValue:
    """Go to the object of a whole id, or return what has that name."""
    query = request.args.get("q", "").strip()[:QUERY_CHARACTERS_MAX]
    with db().reading():
        target = _address_of(query)
        hits = () if target or not query else _hits(query)
    if target:
        return redirect(target, code=303)
    page = SearchPage(query=query, hits=hits)
    return render_template("registry/overview/search.html", page=page, shell=shell())


@pages.get("/billing")
@signed_in
def show_balance() -> ResponseReturnValue:
    """Return the balance, how long it lasts, and what stops when it is used up."""
    require(actor(), "billing.view")
    with db().reading():
        page = _balance_page(_tenant_id())
    whole, part = "registry/billing/balance.html", "registry/billing/_balance.html"
    return live_answer(whole, part, page=page, shell=shell)


@pages.get("/billing/ledger")
@signed_in
def show_ledger() -> ResponseReturnValue:
    """Return every entry of the organization's account, newest first, or all of it as CSV."""
    require(actor(), "billing.view")
    if request.args.get("as") == "csv":
        return _ledger_csv(_tenant_id())
    with db().reading():
        page = _ledger_page(_tenant_id())
    return render_template("registry/billing/ledger.html", page=page, shell=shell())


def _home_page() -> HomePage:
    who, tenant_id = actor(), _tenant_id()
    assert who.project_id is not None
    sees_money = may(who, "billing.view")
    money = _money(tenant_id) if sees_money else None
    active = _workloads("active", limit=WORKLOADS_MAX)
    tenant = get_tenant(db(), tenant_id)
    own_nodes = list_nodes(db(), tenant_id=tenant_id) if may(who, "node.view") else []
    begun = Begun(
        funded=was_funded(db(), tenant_id),
        launched=bool(active) or has_launched(db(), tenant_id),
        called=has_called(db(), tenant_id),
        uses=tenant.intent != "host" and may(who, "allocation.launch"),
        hosts=tenant.intent != "use" and may(who, "site.create"),
        sited=bool(list_site_ids(db(), tenant_id)),
        online=any(node.last_contact_at_ms is not None for node in own_nodes),
    )
    project = get_project(db(), who.project_id)
    smallest = _smallest_hourly()
    counts = count_tabs(db(), tenant_id, project_id=who.project_id, now_ms=now_ms())
    troubled = _workloads("attention", limit=TROUBLED_MAX)
    nodes = troubled_nodes(db(), tenant_id, now_ms()) if may(who, "node.view") else []
    stands = money.posture if money and begun.funded else None
    return HomePage(
        now_ms=now_ms(),
        live_url="/",
        greeting=f"{tenant.name} / {project.name}",
        attention=attention_items(stands, troubled, nodes, now_ms=now_ms()),
        funds=money.funds if money else None,
        workloads=tuple(workload_row(one, now_ms=now_ms()) for one in active),
        active_count=counts["active"],
        setup=setup_steps(begun, smallest=smallest) if begun.uses or begun.hosts else (),
        sites=_site_tiles(tenant_id) if may(who, "site.view") else (),
        spend=money.spend if money else None,
        can_launch=may(who, "allocation.launch"),
        smallest_price_micros_per_hour=smallest,
    )


def _balance_page(tenant_id: str) -> BalancePage:
    money = _money(tenant_id)
    can_pay = may(actor(), "billing.top_up")
    lines = list_lines(db(), tenant_id, limit=RECENT_LINES)
    payers = [] if can_pay else list_payers(db(), tenant_id)
    running = [one for one in money.unsettled if one.is_charging]
    return BalancePage(
        now_ms=now_ms(),
        live_url="/billing",
        funds=money.funds,
        stops=stop_rows(running, money.posture, now_ms=now_ms()),
        recent=_rows(tenant_id, lines),
        can_pay=can_pay,
        spend=money.spend,
        pay_owner=payers[0] if payers else "",
    )


def _ledger_page(tenant_id: str) -> LedgerPage:
    lines = list_lines(db(), tenant_id, before_id=_before(), limit=PAGE_ROWS + 1)
    shown, paging = page_of(lines, lambda line: (line.journal_id,))
    is_first = cursor() is None
    unsettled = list_unsettled(db(), tenant_id, limit=UNSETTLED_MAX) if is_first else []
    return LedgerPage(
        now_ms=now_ms(),
        rows=_rows(tenant_id, shown),
        held=held_rows(unsettled, now_ms=now_ms()),
        paging=paging,
        csv_url="/billing/ledger?as=csv",
    )


def _ledger_csv(tenant_id: str) -> ResponseReturnValue:
    lines: list[Line] = []
    with db().reading():
        while len(lines) < EXPORT_LINES_MAX:
            before_id = lines[-1].journal_id if lines else None
            found = list_lines(db(), tenant_id, before_id=before_id, limit=LINES_MAX)
            lines += found
            if len(found) < LINES_MAX:
                break
        rows = _rows(tenant_id, lines)
    return csv_answer(
        "ledger",
        LEDGER_CSV,
        (
            (
                utc_iso(line.at_ms),
                row.what,
                line.kind,
                line.meter,
                "" if line.quantity is None else line.quantity,
                line.micros,
                line.balance_after,
                line.src,
                "simulated" if row.simulated else "",
            )
            for line, row in zip(lines, rows, strict=True)
        ),
    )


def _money(tenant_id: str) -> Money:
    balance = get_balance(db(), tenant_id)
    stands = standing(db(), tenant_id, now_ms=now_ms()).posture
    today = now_ms() - now_ms() % DAY_MS
    from_ms = today - (SPEND_DAYS - 1) * DAY_MS
    by_day = usage_by_day(db(), tenant_id, from_ms=from_ms, to_ms=today + DAY_MS)
    unsettled = list_unsettled(db(), tenant_id, limit=UNSETTLED_MAX)
    held = sum(one.held_micros(now_ms()) for one in unsettled)
    spent = sum(by_day.values())
    return Money(
        posture=stands,
        funds=funds_of(stands, balance=balance.total, spent=spent, held=held),
        spend=spend_chart(by_day, now_ms=now_ms()),
        unsettled=unsettled,
    )


def _rows(tenant_id: str, lines: list[Line]) -> tuple[LedgerRow, ...]:
    names = names_of(db(), tenant_id, (line.ref for line in lines))
    simulated = {sku.sku_id for sku in list_skus(db()) if sku.simulated}
    return tuple(ledger_row(line, names, simulated=simulated) for line in lines)


def _before() -> int | None:
    match cursor():
        case None:
            return None
        case (int(journal_id),):
            return journal_id
    raise not_found("This page of the ledger")


def _workloads(
    tab: str, *, limit: int, wanted: WorkloadFilter | None = None
) -> list[SeenAllocation]:
    return list_seen(
        db(),
        _tenant_id(),
        project_id=actor().project_id,
        tab=tab,
        wanted=wanted or WorkloadFilter(),
        now_ms=now_ms(),
        limit=limit,
    )


def _smallest_hourly() -> int | None:
    market = current_app.extensions[MARKET](db())
    assert isinstance(market, Market)
    counts = {sku.sku_id: sku.accelerator_count for sku in list_skus(db()) if is_sold(sku, market)}
    return smallest_hourly(list_prices(db(), counts), counts, now_ms=now_ms())


def _site_tiles(tenant_id: str) -> tuple[SiteTile, ...]:
    figures = site_figures(db(), now_ms())
    tiles = []
    for site in list_sites(db(), tenant_id=tenant_id):
        known = figures.get(site.site_id)
        tiles.append(
            SiteTile(
                name=site.name,
                href=f"/nodes?site={site.site_id}",
                place=site.place,
                nodes_online=known.nodes_online if known else 0,
                nodes_degraded=known.nodes_degraded if known else 0,
                nodes_total=known.nodes_total if known else 0,
                gpus_used=known.gpus_used if known else 0,
                gpus_total=known.gpus_total if known else 0,
                simulated=known.simulated if known else False,
            )
        )
    return tuple(tiles)


def _address_of(query: str) -> str:
    """Return where the object with this whole id is shown, if the reader may see it."""
    if is_id(query, "allocation"):
        found = find_seen(db(), query)
        if found is not None and is_in_scope(actor(), tenant_id=found.tenant_id):
            return f"/workloads/{query}"
    if is_id(query, "node") and may(actor(), "node.view"):
        own = list_nodes(db(), tenant_id=_tenant_id())
        return f"/nodes/{query}" if query in {node.node_id for node in own} else ""
    if is_id(query, "site") and may(actor(), "site.view"):
        return f"/nodes?site={query}" if query in list_site_ids(db(), _tenant_id()) else ""
    if is_id(query, "api_key") and may(actor(), "api_key.view"):
        keys = {key.api_key_id for key in list_keys(db(), _tenant_id())}
        return f"/access/api-keys#key-{query}" if query in keys else ""
    return ""


def _hits(query: str) -> tuple[SearchHit, ...]:
    who, tenant_id = actor(), _tenant_id()
    actions = [page for page in ACTION_PAGES if may(who, page.action)]
    hits = page_hits(query, places(who.roles), actions)
    found = {
        one.allocation_id: one
        for tab in ("active", "history")
        for one in _workloads(tab, limit=HITS_PER_KIND, wanted=read_filter(query))
    }
    hits += [
        SearchHit("Workload", one.name, f"{one.state}, {one.site_name}", f"/workloads/{key}")
        for key, one in found.items()
    ]
    if may(who, "site.view"):
        hits += site_hits(query, list_sites(db(), tenant_id=tenant_id))
    if may(who, "node.view"):
        hits += node_hits(query, list_nodes(db(), tenant_id=tenant_id))
    if may(who, "api_key.view"):
        hits += key_hits(query, list_keys(db(), tenant_id))
    return tuple(hits)


def _tenant_id() -> str:
    tenant_id = actor().tenant_id
    assert tenant_id is not None
    return tenant_id

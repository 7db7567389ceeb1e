"""Pages of the sites."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue

from registry.server.forms import read_choice, read_count, refilled
from registry.server.idempotency import Kept, once
from registry.server.page import shell
from registry.server.session import actor, db, new_id, now_ms, signed_in
from registry.sites import operations, queries
from registry.sites.countries import COUNTRIES
from registry.sites.site import (
    CONNECTIVITIES,
    KINDS,
    POWER_KW_MAX,
    Site,
    SiteFacts,
    SiteFigures,
)
from registry.store.database import Db
from registry.tenants.roles import may, require
from web.view_models.parts import Choice, Form
from web.view_models.sites import NewSitePage, SiteRow, SitesPage

EXTENSION = "outstation-sites"

pages = Blueprint("sites", __name__)


@dataclass(frozen=True, slots=True)
class SiteSources:
    """What the page asks later rooms.  figures: by site id"""

    figures: Callable[[Db, int], dict[str, SiteFigures]]


@pages.get("/sites")
@signed_in
def list_sites() -> ResponseReturnValue:
    """Return the sites of the organization; a platform admin sees all."""
    require(actor(), "site.view")
    sources = current_app.extensions[EXTENSION]
    assert isinstance(sources, SiteSources)
    scope = None if actor().is_platform_admin else actor().tenant_id
    with db().reading():
        sites = queries.list_sites(db(), tenant_id=scope)
        figures = sources.figures(db(), now_ms())
    page = SitesPage(
        now_ms=now_ms(),
        rows=tuple(_row(site, figures.get(site.site_id, SiteFigures())) for site in sites),
        can_add=may(actor(), "site.create"),
        is_private=any(not site.is_open and site.tenant_id == actor().tenant_id for site in sites),
    )
    return render_template("registry/sites/list.html", page=page, shell=shell())


def _new_site_page(*, form: Form) -> str:
    page = NewSitePage(
        kinds=_choices(KINDS),
        connectivities=_choices(CONNECTIVITIES),
        countries=_choices(COUNTRIES),
        idempotency_key=form.value("idempotency_key") or new_id("request"),
        form=form,
    )
    return render_template("registry/sites/new.html", page=page, shell=shell())


@pages.get("/sites/new")
@signed_in
def show_new_site() -> ResponseReturnValue:
    """Return the form that adds a site."""
    require(actor(), "site.create")
    return _new_site_page(form=Form())


@pages.post("/sites/new")
@signed_in
@refilled(_new_site_page)
def add_site() -> ResponseReturnValue:
    """Add a site and go on to its first node; sent twice, one is added."""
    facts = SiteFacts(
        name=request.form.get("name", ""),
        city=request.form.get("city", ""),
        country=read_choice("country", tuple(COUNTRIES), label="Country"),
        kind=read_choice("kind", tuple(KINDS), label="Kind of place"),
        connectivity=read_choice("connectivity", tuple(CONNECTIVITIES), label="Connection"),
        power_kw=read_count("power_kw", label="Power", least=1, most=POWER_KW_MAX),
    )
    with db().unit():
        kept = once(lambda: _add(facts))
    return redirect(f"/nodes/new?site={kept.body}", code=303)


def _add(facts: SiteFacts) -> Kept:
    tenant_id = actor().tenant_id
    assert tenant_id is not None
    made = operations.add_site(
        db(), facts, tenant_id=tenant_id, actor=actor(), now_ms=now_ms(), new_id=new_id
    )
    return Kept(303, made.site_id)


def _choices(known: dict[str, str]) -> tuple[Choice, ...]:
    return tuple(Choice(value, label) for value, label in known.items())


def _row(site: Site, figures: SiteFigures) -> SiteRow:
    return SiteRow(
        site_id=site.site_id,
        name=site.name,
        place=site.place,
        kind=KINDS.get(site.kind, site.kind),
        connectivity=CONNECTIVITIES.get(site.connectivity, site.connectivity),
        power_kw=site.power_kw,
        power_now_w=figures.power_now_w,
        nodes_online=figures.nodes_online,
        nodes_degraded=figures.nodes_degraded,
        nodes_total=figures.nodes_total,
        gpus_used=figures.gpus_used,
        gpus_total=figures.gpus_total,
        simulated=figures.simulated,
        market="open" if site.is_open else "private",
        nodes_href=f"/nodes?site={site.site_id}",
    )

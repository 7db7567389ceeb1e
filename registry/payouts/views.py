"""Pages of what a site earns: the month, the usage behind each sum, the statement as a file."""

from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec
from flask import Blueprint, Response, current_app, render_template, request
from flask.typing import ResponseReturnValue

from protocol.clock import DAY_MS, HOUR_MS
from protocol.price import hourly_micros, price_at
from protocol.usage import GPU_MS
from registry.adjustments.shares import DISPUTE_WINDOW_MS
from registry.catalogue.queries import list_prices, list_skus
from registry.ledger import account_names
from registry.ledger.queries import get_account
from registry.nodes.queries import list_every_accelerator, list_nodes
from registry.payouts import queries
from registry.payouts.earnings import Earning, earnings
from registry.payouts.figures import (
    MonthOf,
    Offer,
    answer,
    day_chart,
    forecast_of,
    heat,
    heat_words,
    node_rows,
    percent_words,
    waterfall,
    what_if,
)
from registry.payouts.months import Month, month_of, read_month
from registry.payouts.operations import PAYOUT_MICROS_MIN
from registry.payouts.queries import Payout
from registry.payouts.states import State
from registry.server.exports import csv_answer
from registry.server.page import shell
from registry.server.paging import PAGE_ROWS, cursor, page_of
from registry.server.session import actor, db, now_ms, signed_in
from registry.sites.queries import get_site, list_sites
from registry.sites.site import Site
from registry.tenants.roles import may, not_found, require
from web.format import utc_date, utc_iso, utc_month
from web.view_models.parts import Choice, Form
from web.view_models.payouts import (
    EarningRow,
    EarningRowsPage,
    EarningsPage,
    NoSitesPage,
    PayoutRow,
    Standing,
)

EXTENSION = "outstation-earnings"
PATH = "/site-owner"
PAYOUTS_SHOWN = 50
CSV_HEAD = (
    *("from_utc", "node", "sku", "meter", "quantity"),
    *("charged_micros", "share_micros"),
)

pages = Blueprint("payouts", __name__)


@dataclass(frozen=True, slots=True)
class EarningsTerms:
    """What the pages depend on.  share_basis_points: what a site earns of a charge"""

    share_basis_points: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Which site and month a page is about."""

    site: Site
    month: Month
    offers: tuple[Offer, ...]

    def url(self, path: str, **more: str) -> str:
        """Return the address of another page about the same."""
        named = {"site": self.site.site_id, "month": str(self.month), **more}
        return f"{path}?{urlencode(named)}"


@pages.get(PATH)
@signed_in
def show_earnings() -> ResponseReturnValue:
    """Return what a site earned in a month, the answer first."""
    require(actor(), "earnings.view")
    with db().reading():
        asked = _asked()
        page = None if asked is None else _earnings_page(asked)
    if page is None:
        none = NoSitesPage(can_add=may(actor(), "site.create"))
        return render_template("registry/payouts/no_sites.html", page=none, shell=shell())
    return render_template("registry/payouts/earnings.html", page=page, shell=shell())


@pages.get(f"{PATH}/usage")
@signed_in
def show_usage() -> ResponseReturnValue:
    """Return the verified usage behind a sum: of a month by day, of a day by hour."""
    require(actor(), "earnings.view")
    with db().reading():
        asked = _required()
        page = _rows_page(asked)
    return render_template("registry/payouts/usage.html", page=page, shell=shell())


@pages.get(f"{PATH}/statement")
@signed_in
def download_statement() -> ResponseReturnValue:
    """Return a month's statement as CSV, or with `as=json` as JSON with its sums and payouts."""
    require(actor(), "earnings.view")
    with db().reading():
        asked = _required()
        seen = _month_of(asked)
        payouts = _payouts(asked)
    name = f"earnings-{asked.site.site_id}-{asked.month}"
    names = {one.node_id: one.told for one in asked.offers}
    if request.args.get("as") != "json":
        rows = (
            (
                utc_iso(one.at_ms), names[one.node_id], one.sku, one.meter, one.quantity,
                one.charged, one.share,
            )
            for one in seen.found
        )  # fmt: skip
        return csv_answer(name, CSV_HEAD, rows)
    body = msgspec.json.encode(_statement(asked, seen, payouts))
    answered = Response(body, content_type="application/json")
    answered.headers["Content-Disposition"] = f'attachment; filename="{name}.json"'
    return answered


def _asked() -> Asked | None:
    """Return which site and month is asked for; None where there is no site at all."""
    scope = None if actor().is_platform_admin else actor().tenant_id
    wanted = request.args.get("site", "")
    if wanted:
        require(actor(), "earnings.view", site_id=wanted)
        site = get_site(db(), wanted)
    else:
        sites = list_sites(db(), tenant_id=scope)
        if not sites:
            return None
        site = sites[0]
    text = request.args.get("month", "")
    month = read_month(text) if text else month_of(now_ms())
    return Asked(site, month, _offers(site))


def _required() -> Asked:
    asked = _asked()
    if asked is None:
        raise not_found("This site")
    return asked


def _offers(site: Site) -> tuple[Offer, ...]:
    nodes = list_nodes(db(), site_id=site.site_id, retired=True)
    gpus: dict[str, int] = {}
    for card in list_every_accelerator(db(), [node.node_id for node in nodes]):
        gpus[card.node_id] = gpus.get(card.node_id, 0) + 1
    return tuple(
        Offer(
            node_id=node.node_id,
            name=node.name,
            gpus=0 if node.revoked else gpus.get(node.node_id, 0),
            power_w=0 if node.revoked else node.facts.power_w,
            begin_ms=node.enrolled_at_ms or node.created_at_ms,
            simulated=node.simulated,
        )
        for node in nodes
    )


def _found(asked: Asked, node_ids: list[str], *, begin_ms: int, step_ms: int) -> list[Earning]:
    end_ms = asked.month.end_ms if step_ms == DAY_MS else begin_ms + DAY_MS
    window = {"from_ms": begin_ms, "to_ms": end_ms}
    return earnings(
        queries.charged_by_step(db(), node_ids, **window, step_ms=step_ms),
        queries.charged_before(db(), node_ids, **window),
        basis_points=_terms().share_basis_points,
    )


def _month_of(asked: Asked) -> MonthOf:
    month, site_id = asked.month, asked.site.site_id
    window = {"from_ms": month.begin_ms, "to_ms": month.end_ms}
    node_ids = [one.node_id for one in asked.offers]
    return MonthOf(
        month=month,
        now_ms=now_ms(),
        found=tuple(_found(asked, node_ids, begin_ms=month.begin_ms, step_ms=DAY_MS)),
        set_right=queries.set_right_between(db(), site_id, **window),
        taken_back=queries.clawed_back_between(db(), site_id, **window),
        basis_points=_terms().share_basis_points,
    )


def _earnings_page(asked: Asked) -> EarningsPage:
    seen, month = _month_of(asked), asked.month
    usage_url = asked.url(f"{PATH}/usage")
    typed = Form({name: request.args.get(name, "") for name in ("price", "sold", "tariff")})
    scope = None if actor().is_platform_admin else actor().tenant_id
    is_past = month < month_of(now_ms())
    hours = heat(_sold_by_hour(asked), asked.offers, seen)
    return EarningsPage(
        now_ms=now_ms(),
        month_at_ms=month.begin_ms,
        is_over=seen.is_over,
        answer=answer(seen, asked.offers),
        site_name=asked.site.name,
        sites=tuple(Choice(one.site_id, one.name) for one in list_sites(db(), tenant_id=scope)),
        site_id=asked.site.site_id,
        month=str(month),
        share_words=percent_words(seen.basis_points),
        standing=_standing(asked.site.site_id),
        waterfall=waterfall(seen, usage_href=usage_url),
        nodes=node_rows(seen, asked.offers, usage_href=usage_url),
        payouts=tuple(_payout_row(one) for one in _payouts(asked)),
        what_if=what_if(
            typed,
            asked.offers,
            basis_points=seen.basis_points,
            price_micros=_usual_price(asked),
        ),
        chart=day_chart(seen),
        heat=hours,
        heat_words=heat_words(hours),
        forecast_micros=forecast_of(seen) if seen.sums.charged else None,
        before_url=Asked(asked.site, month.before, ()).url(PATH),
        after_url=Asked(asked.site, month.following, ()).url(PATH) if is_past else "",
        usage_url=usage_url,
        csv_url=asked.url(f"{PATH}/statement"),
        json_url=asked.url(f"{PATH}/statement", **{"as": "json"}),
    )


def _sold_by_hour(asked: Asked) -> dict[int, int]:
    return queries.gpu_time_by_hour(
        db(),
        [one.node_id for one in asked.offers],
        from_ms=asked.month.begin_ms,
        to_ms=asked.month.end_ms,
    )


def _rows_page(asked: Asked) -> EarningRowsPage:
    names = {one.node_id: one.told for one in asked.offers}
    node_id, day = request.args.get("node", ""), request.args.get("day", "")
    if node_id and node_id not in names:
        raise not_found("This node")
    begin_ms = asked.month.begin_ms
    if day:
        number = int(day) if day.isascii() and day.isdigit() and len(day) <= 2 else 0
        begin_ms += (number - 1) * DAY_MS
        if not asked.month.begin_ms <= begin_ms < asked.month.end_ms:
            raise not_found("This day")
    wanted = [node_id] if node_id else list(names)
    found = _found(asked, wanted, begin_ms=begin_ms, step_ms=HOUR_MS if day else DAY_MS)
    key = cursor()
    begin = key[0] if key and isinstance(key[0], int) else 0
    numbered = list(enumerate(found))[begin : begin + PAGE_ROWS + 1]
    shown, paging = page_of(numbered, lambda pair: (pair[0] + 1,))
    of_node = {"node": node_id} if node_id else {}
    what = utc_date(begin_ms) if day else utc_month(begin_ms)
    return EarningRowsPage(
        title=f"{names.get(node_id, asked.site.name)}, {what}",
        back_url=asked.url(f"{PATH}/usage", **of_node) if day else asked.url(PATH),
        charged_micros=sum(one.charged for one in found),
        share_micros=sum(one.share for one in found),
        rows=tuple(_row(asked, one, names, by_hour=bool(day), more=of_node) for _, one in shown),
        by_hour=bool(day),
        paging=paging,
    )


def _row(
    asked: Asked, one: Earning, names: dict[str, str], *, by_hour: bool, more: dict[str, str]
) -> EarningRow:
    day = str((one.at_ms - asked.month.begin_ms) // DAY_MS + 1)
    return EarningRow(
        at_ms=one.at_ms,
        node=names[one.node_id],
        sku=one.sku,
        meter=one.meter,
        quantity=one.quantity,
        charged_micros=one.charged,
        share_micros=one.share,
        href="" if by_hour else asked.url(f"{PATH}/usage", day=day, **more),
    )


def _standing(site_id: str) -> Standing:
    waiting = queries.list_payouts(
        db(), site_ids=[site_id], state=State.PENDING, limit=PAYOUTS_SHOWN
    )
    place = queries.find_destination(db(), site_id)
    return Standing(
        held_micros=-get_account(db(), account_names.site_hold(site_id)),
        payable_micros=-get_account(db(), account_names.site(site_id)),
        owed_micros=get_account(db(), account_names.site_receivable(site_id)),
        on_way_micros=sum(one.micros for one in waiting),
        paid_micros=queries.paid_out(db(), site_id),
        least_micros=PAYOUT_MICROS_MIN,
        window_ms=DISPUTE_WINDOW_MS,
        paid_to="" if place is None else f"{place.destination} ({place.sender})",
    )


def _payouts(asked: Asked) -> list[Payout]:
    return queries.list_payouts(db(), site_ids=[asked.site.site_id], limit=PAYOUTS_SHOWN)


def _payout_row(one: Payout) -> PayoutRow:
    return PayoutRow(
        at_ms=one.created_at_ms,
        micros=one.micros,
        state=one.state.value,
        sender=one.sender,
        destination=one.destination,
        reference=one.reference,
        why=one.why,
    )


def _usual_price(asked: Asked) -> int | None:
    """Return the lowest price in force of one GPU of the site's models, an hour."""
    nodes = [one.node_id for one in asked.offers if one.gpus]
    models = {card.model for card in list_every_accelerator(db(), nodes)}
    skus = {
        sku.sku_id: sku
        for sku in list_skus(db())
        if sku.active and sku.accelerator_model in models and sku.accelerator_count
    }
    prices = list_prices(db(), skus)
    found = (price_at(prices, sku=sku, meter=GPU_MS, at_ms=now_ms()) for sku in skus)
    return min((hourly_micros(one, 1) for one in found if one is not None), default=None)


def _statement(asked: Asked, seen: MonthOf, payouts: list[Payout]) -> dict[str, object]:
    names = {one.node_id: one.told for one in asked.offers}
    sums = seen.sums
    return {
        "site_id": asked.site.site_id,
        "site": asked.site.name,
        "month": str(asked.month),
        "is_over": seen.is_over,
        "currency": "USD",
        "share_basis_points": seen.basis_points,
        "charged_micros": sums.charged,
        "usage_share_micros": sums.share,
        "set_right_micros": seen.set_right,
        "taken_back_micros": seen.taken_back,
        "share_micros": seen.share,
        "gpu_ms": sums.gpu_ms,
        "energy_wh": sums.energy_wh,
        "usage": [
            {
                "from_ms": one.at_ms,
                "node_id": one.node_id,
                "node": names[one.node_id],
                "sku": one.sku,
                "meter": one.meter,
                "quantity": one.quantity,
                "charged_micros": one.charged,
                "share_micros": one.share,
            }
            for one in seen.found
        ],
        "payouts": [
            {
                "payout_id": one.payout_id,
                "micros": one.micros,
                "state": one.state.value,
                "created_at_ms": one.created_at_ms,
                "sent_at_ms": one.sent_at_ms,
                "reference": one.reference,
            }
            for one in payouts
        ],
    }


def _terms() -> EarningsTerms:
    terms = current_app.extensions[EXTENSION]
    assert isinstance(terms, EarningsTerms)
    return terms

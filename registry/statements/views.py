"""Pages of statements, their downloads, and the page on which anybody checks one."""

from flask import Blueprint, Response, render_template
from flask.typing import ResponseReturnValue

from protocol.checkpoint import log_origin
from protocol.statement import Statement
from protocol.wire import encode
from registry.catalogue.queries import list_prices
from registry.nodes.queries import get_node
from registry.server.exports import csv_answer
from registry.server.page import shell
from registry.server.session import actor, db, now_ms, signed_in
from registry.server.settings import settings
from registry.statements.focus import COLUMNS, Bill, focus_rows
from registry.statements.operations import drawn_up, list_months
from registry.statements.panels import month_row, statement_page
from registry.statements.queries import list_hours
from registry.tenants.queries import list_projects
from registry.tenants.roles import require
from web.view_models.statements import StatementsPage

PROVIDER = "Outstation"

pages = Blueprint("statements", __name__)


@pages.get("/billing/statements")
@signed_in
def show_statements() -> ResponseReturnValue:
    """Return the months with a statement."""
    require(actor(), "billing.view")
    with db().reading():
        months = list_months(db(), _tenant_id(), now_ms=now_ms())
    page = StatementsPage(tuple(month_row(one, now_ms=now_ms()) for one in months))
    return render_template("registry/billing/statements.html", page=page, shell=shell())


@pages.get("/billing/statements/<subject>")
@signed_in
def show_statement(subject: str) -> ResponseReturnValue:
    """Return the statement of a month, or of one workload or API key, checked line by line."""
    page = statement_page(_drawn_up(subject), now_ms=now_ms())
    return render_template("registry/billing/statement.html", page=page, shell=shell())


@pages.get("/billing/statements/<subject>.json")
@signed_in
def download_statement(subject: str) -> ResponseReturnValue:
    """Return a statement with all it takes to check it offline."""
    answer = Response(encode(_drawn_up(subject)), content_type="application/json")
    name = f"{subject}.statement.json"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@pages.get("/billing/statements/<subject>.focus.csv")
@signed_in
def download_focus(subject: str) -> ResponseReturnValue:
    """Return the hours of a statement as FOCUS 1.2 rows, which sum to its total."""
    statement = _drawn_up(subject)
    owners = {line.owner: line.name for line in statement.lines}
    with db().reading():
        hours = [
            hour
            for hour in list_hours(
                db(), _tenant_id(), from_ms=statement.begin_at_ms, to_ms=statement.end_at_ms
            )
            if hour.stream.owner_id in owners
        ]
        nodes = {
            node_id: get_node(db(), node_id)
            for node_id in sorted({hour.stream.node_id for hour in hours})
        }
        prices = list_prices(db(), sorted({hour.stream.sku for hour in hours}))
        projects = {one.project_id: one.name for one in list_projects(db(), _tenant_id())}
    bill = Bill(
        tenant_id=statement.tenant_id,
        tenant_name=statement.tenant_name,
        provider=PROVIDER,
        currency=statement.currency,
        begin_ms=statement.begin_at_ms,
        end_ms=statement.end_at_ms,
        names=owners,
        projects=projects,
        simulated=frozenset(one.node_id for one in nodes.values() if one.simulated),
        places={one.node_id: (one.site_name, one.country) for one in nodes.values()},
        origins={
            (stream.node_id, stream.epoch): log_origin(
                settings().domain, stream.node_id, stream.epoch
            )
            for stream in {hour.stream for hour in hours}
        },
    )
    return csv_answer(f"{subject}.focus", COLUMNS, focus_rows(bill, hours, prices))


@pages.get("/verify")
def show_verifier() -> ResponseReturnValue:
    """Return the page that checks a statement in the reader's browser, for anybody."""
    return render_template("registry/billing/verify.html")


def _drawn_up(subject: str) -> Statement:
    require(actor(), "billing.view")
    with db().reading():
        return drawn_up(
            db(),
            subject,
            tenant_id=_tenant_id(),
            domain=settings().domain,
            key=settings().key,
            now_ms=now_ms(),
        )


def _tenant_id() -> str:
    tenant_id = actor().tenant_id
    assert tenant_id is not None
    return tenant_id

"""JSON: the statements of an organization, each with its proof."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from registry.server.envelope import answered
from registry.server.session import actor, db, now_ms, with_api_key
from registry.server.settings import settings
from registry.statements.operations import drawn_up, list_months
from registry.tenants.roles import require

api = Blueprint("statements_api", __name__)


@api.get("/api/v1/statements")
@with_api_key
def list_statements() -> ResponseReturnValue:
    """Answer the months in which anything was used, newest first, with what each came to."""
    require(actor(), "billing.view")
    with db().reading():
        months = list_months(db(), _tenant_id(), now_ms=now_ms())
    return answered(
        [
            {
                "subject": one.month.name,
                "begin_at_ms": one.month.begin_ms,
                "end_at_ms": one.month.end_ms,
                "is_final": one.month.end_ms <= now_ms(),
                "charged_micros": one.charged_micros,
            }
            for one in months
        ]
    )


@api.get("/api/v1/statements/<subject>")
@with_api_key
def show_statement(subject: str) -> ResponseReturnValue:
    """Answer the statement of a month (`2026-11`), or of one workload or API key by its id."""
    require(actor(), "billing.view")
    with db().reading():
        found = drawn_up(
            db(),
            subject,
            tenant_id=_tenant_id(),
            domain=settings().domain,
            key=settings().key,
            now_ms=now_ms(),
        )
    return answered(found)


def _tenant_id() -> str:
    tenant_id = actor().tenant_id
    assert tenant_id is not None
    return tenant_id

"""JSON: the ledger of an organization."""

from dataclasses import asdict

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from protocol.refusal import Refusal
from registry.ledger.queries import LINES_MAX, list_lines
from registry.server.envelope import answered
from registry.server.session import actor, db, with_api_key
from registry.tenants.roles import require

api = Blueprint("ledger_api", __name__)

CURRENCY = "USD"
IDS_DIGITS_MAX = 18


@api.get("/api/v1/ledger")
@with_api_key
def list_ledger() -> ResponseReturnValue:
    """Answer ledger lines, newest first; `before` is the `next_before` of the page above."""
    require(actor(), "billing.view")
    tenant_id = actor().tenant_id
    assert tenant_id is not None
    with db().reading():
        lines = list_lines(db(), tenant_id, before_id=_before(), limit=LINES_MAX)
    is_full = len(lines) == LINES_MAX
    return answered(
        {
            "currency": CURRENCY,
            "lines": [asdict(line) for line in lines],
            "next_before": lines[-1].journal_id if is_full else None,
        }
    )


def _before() -> int | None:
    text = request.args.get("before", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= IDS_DIGITS_MAX):
        raise Refusal(
            code="cursor_unreadable",
            status=400,
            message="before: this page of the ledger cannot be found.",
            hint="Begin without `before`.",
            field="before",
        )
    return int(text)

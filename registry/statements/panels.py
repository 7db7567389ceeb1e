"""What the pages of statements show."""

from protocol.ids import is_id
from protocol.receipt import read_receipt
from protocol.refusal import LogRefused
from protocol.statement import Statement, StatementLine, verify_statement
from registry.statements.period import MonthSum
from registry.usage.receipt_panel import owner_href, price_words
from web.view_models.statements import LineRow, MonthRow, StatementPage

ROWS_MAX = 500
"""Lines listed on a page; the downloads hold all of them."""


def month_row(found: MonthSum, *, now_ms: int) -> MonthRow:
    """Return a month of the list."""
    return MonthRow(
        name=found.month.name,
        href=f"/billing/statements/{found.month.name}",
        begin_at_ms=found.month.begin_ms,
        charged_micros=found.charged_micros,
        is_final=found.month.end_ms <= now_ms,
    )


def statement_page(statement: Statement, *, now_ms: int) -> StatementPage:
    """Return the page of a statement, checked as its reader would check the download."""
    try:
        receipts, problem = verify_statement(statement).receipts, ""
    except LogRefused as refused:
        receipts, problem = 0, refused.message
    subject = statement.subject
    is_month = not (is_id(subject, "allocation") or is_id(subject, "api_key"))
    path = f"/billing/statements/{subject}"
    return StatementPage(
        subject=subject,
        title=subject if is_month else statement.lines[0].name,
        organization=statement.tenant_name,
        begin_at_ms=statement.begin_at_ms
        if is_month
        else min(line.begin_at_ms for line in statement.lines),
        end_at_ms=min(statement.end_at_ms, now_ms),
        is_final=is_month and statement.end_at_ms <= now_ms,
        rows=tuple(_row(line) for line in statement.lines[:ROWS_MAX]),
        count=len(statement.lines),
        receipts=receipts,
        total_micros=statement.total_micros,
        unbilled_micros=sum(line.unbilled_micros for line in statement.lines),
        problem=problem,
        json_url=f"{path}.json",
        csv_url=f"{path}.focus.csv",
    )


def _row(line: StatementLine) -> LineRow:
    receipts = f"/billing/receipts/{line.origin}"
    return LineRow(
        name=line.name,
        href=owner_href(line.owner),
        sku=line.sku,
        simulated=line.simulated,
        node=line.node,
        from_at_ms=line.begin_at_ms,
        to_at_ms=line.end_at_ms,
        quantity=line.cum_after - line.cum_before,
        unit=line.meter,
        price=price_words(line.price),
        charged_micros=line.charged_micros,
        unbilled_micros=line.unbilled_micros,
        first_href=f"{receipts}/{read_receipt(line.first).index}",
        last_href=f"{receipts}/{read_receipt(line.last).index}",
    )

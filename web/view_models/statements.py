"""Statements: months, and one statement with its lines."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MonthRow:
    """A month with a statement; one that is not over is to date."""

    name: str
    href: str
    begin_at_ms: int
    charged_micros: int
    is_final: bool


@dataclass(frozen=True, slots=True)
class StatementsPage:
    """GET /billing/statements, newest month first."""

    rows: tuple[MonthRow, ...]


@dataclass(frozen=True, slots=True)
class LineRow:
    """One stream under one price: what it came to and where its proof is."""

    name: str
    href: str
    sku: str
    simulated: bool
    node: str
    from_at_ms: int
    to_at_ms: int
    quantity: int
    unit: str
    price: str
    charged_micros: int
    unbilled_micros: int
    first_href: str
    last_href: str


@dataclass(frozen=True, slots=True)
class StatementPage:
    """GET /billing/statements/{subject}.

    rows      the first of `count` lines; the total is over all
    problem   why the statement does not hold, empty if it does
    receipts  how many were checked for this page
    """

    subject: str
    title: str
    organization: str
    begin_at_ms: int
    end_at_ms: int
    is_final: bool
    rows: tuple[LineRow, ...]
    count: int
    receipts: int
    total_micros: int
    unbilled_micros: int
    problem: str
    json_url: str
    csv_url: str

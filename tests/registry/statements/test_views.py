"""Pages of statements, their downloads, and the check in a browser."""

import csv
import io
from decimal import Decimal

import msgspec
import pytest

from protocol.statement import Statement, verify_statement
from registry.statements.focus import COLUMNS, decimal
from registry.statements.period import month_of
from tests.registry.marketplace import HOURLY, Customer, Marketplace


def billed(market: Marketplace) -> tuple[Customer, str]:
    """A customer with 90 verified minutes, and the path of this month's statement."""
    ana = market.customer()
    made = ana.launched()
    market.runs(made)
    market.uses(made, 90)
    return ana, f"/billing/statements/{month_of(market.rig.clock()).name}"


def test_the_months_are_listed_and_lead_to_their_statements(market: Marketplace) -> None:
    ana, path = billed(market)

    page = ana.browser.get("/billing/statements").text

    assert f'href="{path}"' in page
    assert "To date" in page
    assert "$5.40" in page


def test_without_usage_the_list_says_what_will_be_there(market: Marketplace) -> None:
    assert "No statement yet" in market.customer().browser.get("/billing/statements").text


def test_a_statement_is_shown_verified_with_its_lines(market: Marketplace) -> None:
    ana, path = billed(market)

    page = ana.browser.get(path).text

    assert "Verified" in page
    assert "train-sw-llm" in page
    assert "$3.60 per GPU hour" in page
    assert page.count("$5.40") >= 2
    assert "2 receipts were checked" in page


def test_the_download_is_verified_by_anybody(market: Marketplace) -> None:
    ana, path = billed(market)

    answer = ana.browser.get(f"{path}.json")
    found = msgspec.json.decode(answer.data, type=Statement)

    assert "attachment" in answer.headers["Content-Disposition"]
    assert verify_statement(found).total_micros == 90 * HOURLY // 60


def test_the_focus_rows_are_hours_that_sum_to_the_statement(market: Marketplace) -> None:
    ana, path = billed(market)

    answer = ana.browser.get(f"{path}.focus.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))

    assert tuple(rows[0]) == COLUMNS
    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal("5.4")
    assert sum(Decimal(row["ConsumedQuantity"]) for row in rows) == Decimal("1.5")
    for row in rows:
        assert row["ChargePeriodStart"].endswith(":00:00Z")
        assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["BillingPeriodEnd"]
        assert (row["ChargeCategory"], row["BillingCurrency"]) == ("Usage", "USD")
        assert row["ConsumedUnit"] == "GPU-Hours"
        assert Decimal(row["ListUnitPrice"]) == Decimal("3.6")


@pytest.mark.parametrize(
    ("numerator", "denominator", "shown"),
    [(1, 3, "0.333333"), (5_400_000, 1_000_000, "5.400000"), (0, 7, "0.000000")],
)
def test_a_decimal_is_cut_never_rounded_up(numerator: int, denominator: int, shown: str) -> None:
    assert decimal(numerator, denominator) == shown


def test_statements_of_others_and_of_nothing_are_absent(market: Marketplace) -> None:
    _, path = billed(market)
    eve = market.customer("eve@other.example").browser

    for address in (path, f"{path}.json", f"{path}.focus.csv", "/billing/statements/2026-99"):
        assert eve.get(address).status_code == 404

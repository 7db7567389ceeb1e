"""What every page says about money."""

import pytest
from sqlalchemy import text

from protocol.clock import HOUR_MS, MINUTE_MS
from tests.registry.marketplace import HOURLY, Customer, Marketplace

PAGES = (
    "/",
    "/workloads",
    "/launch",
    "/billing",
    "/billing/ledger",
    "/access/api-keys",
    "/workloads/a_0",
)


@pytest.mark.parametrize(
    ("left", "words"),
    [(6 * HOURLY, "Balance low:"), (HOURLY // 2, "Balance critical:")],
)
def test_a_balance_that_runs_out_is_said_on_every_page(
    market: Marketplace, left: int, words: str
) -> None:
    ana = _running(market, 6 * HOURLY)
    with market.rig.database.unit() as db:
        db.execute(text("UPDATE account SET balance = :left, held = 0"), {"left": -left})

    for path in PAGES:
        assert words in ana.browser.get(path).text, path


def test_a_used_up_balance_is_said_on_every_page(market: Marketplace) -> None:
    ana = _running(market, 6 * HOURLY)
    market.node_says(_only(market), "exited", failure="lease")
    with market.rig.database.unit() as db:
        db.execute(text("UPDATE account SET balance = 0, held = 0"))

    for path in PAGES:
        page = ana.browser.get(path).text
        assert "Balance used up at" in page, path
        assert "1\u00a0workload stopped" in page


def test_usage_of_a_node_that_is_silent_for_an_hour_is_said_to_be_held(
    market: Marketplace,
) -> None:
    ana = _running(market, 500 * HOURLY)

    market.rig.clock.forward(50 * MINUTE_MS)
    early = ana.browser.get("/").text
    market.rig.clock.forward(HOUR_MS)
    late = ana.browser.get("/").text

    assert "of usage is held" not in early
    assert "of usage is held" in late
    assert "until demo-nbo-1 reconnects" in late


def test_another_organizations_balance_is_nobody_elses_banner(market: Marketplace) -> None:
    _running(market, 6 * HOURLY)
    eve = market.customer("eve@other.example")

    page = eve.browser.get("/").text

    assert "Balance low" not in page
    assert "$50.00" in page


def _running(market: Marketplace, micros: int) -> Customer:
    ana = market.customer(micros=micros)
    market.runs(ana.launched())
    return ana


def _only(market: Marketplace) -> str:
    with market.rig.database.reading() as db:
        return str(db.value(text("SELECT allocation_id FROM allocation")))

"""Adding funds."""

from registry.ledger.queries import get_balance
from tests.registry.marketplace import Marketplace
from tests.registry.rig import Rig


def test_a_demo_payment_is_posted_once_and_says_what_it_is(market: Marketplace) -> None:
    ana = market.customer(micros=0)

    first = ana.browser.post("/billing/add-funds", amount="50", idempotency_key="pay-once-please")
    again = ana.browser.post("/billing/add-funds", amount="50", idempotency_key="pay-once-please")
    ledger = ana.browser.get("/billing/ledger").text
    page = ana.browser.get("/billing/add-funds").text

    assert (first.status_code, again.status_code) == (303, 303)
    assert _wallet(market, ana.tenant_id) == 50_000_000
    assert ledger.count("demo payment, no money moved") == 1
    assert "This is a demo: no card is charged." in page


def test_another_amount_is_read_in_whole_dollars(market: Marketplace) -> None:
    ana = market.customer(micros=0)

    good = ana.browser.post("/billing/add-funds", amount="other", other_amount="7")
    refused = [
        ana.browser.post("/billing/add-funds", amount="other", other_amount=text)
        for text in ("", "-1", "0", "1e9", "٣", "10001", "0.5")
    ]

    assert good.status_code == 303
    assert {answer.status_code for answer in refused} == {422}
    assert all('href="#f-other_amount"' in answer.text for answer in refused)
    assert _wallet(market, ana.tenant_id) == 7_000_000


def test_an_amount_that_is_not_offered_is_refused(market: Marketplace) -> None:
    ana = market.customer(micros=0)

    answer = ana.browser.post("/billing/add-funds", amount="1000000")

    assert answer.status_code == 422
    assert _wallet(market, ana.tenant_id) == 0


def test_paying_leads_back_to_where_it_was_needed_and_nowhere_else(market: Marketplace) -> None:
    ana = market.customer(micros=0)

    back = ana.browser.post("/billing/add-funds", amount="25", return_to="/launch")
    away = ana.browser.post("/billing/add-funds", amount="25", return_to="//evil.example/x")

    assert back.headers["Location"] == "/launch"
    assert away.headers["Location"] == "/"


def test_outside_demo_mode_the_page_says_how_to_transfer_and_offers_no_button(rig: Rig) -> None:
    ana = rig.member()

    page = ana.get("/billing/add-funds").text
    answer = ana.post("/billing/add-funds", amount="25")

    assert "By bank transfer" in page
    assert "Ask the operator of this registry" in page
    assert "<code>t_" in page
    assert 'action="/billing/add-funds"' not in page
    assert answer.status_code == 409


def _wallet(market: Marketplace, tenant_id: str) -> int:
    with market.rig.database.reading() as db:
        return get_balance(db, tenant_id).wallet

"""Pages of receipts."""

from protocol.receipt import verify_receipt
from protocol.signing import public_bytes
from registry.server.settings import EXTENSION
from tests.registry.marketplace import HOURLY, Customer, Marketplace


def test_a_receipt_is_proven_step_by_step(market: Marketplace) -> None:
    ana, path = _billed(market)

    page = ana.browser.get(path).text

    assert "Verified" in page
    assert "The node signed the checkpoint" in page
    assert "The registry signed that it saw the same checkpoint" in page
    assert "hashes lead from the record to its root" in page
    assert "$3.60 per GPU hour" in page
    assert "$0.06" in page


def test_the_download_holds_in_the_hands_of_anybody(market: Marketplace) -> None:
    ana, path = _billed(market)
    settings = market.rig.app.extensions[EXTENSION]

    answer = ana.browser.get(f"{path}.tlog-proof")
    proven = verify_receipt(
        answer.text,
        node_key=public_bytes(market.node_key),
        witness="registry.example/witness",
        witness_key=public_bytes(settings.key),
    )

    assert answer.content_type.startswith("text/plain")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert proven.record["ten"] == ana.tenant_id


def test_a_ledger_line_of_one_record_leads_to_its_receipt(market: Marketplace) -> None:
    ana, path = _billed(market, minutes=1)

    answer = ana.browser.get(_newest_line(ana))

    assert answer.status_code == 303
    assert answer.headers["Location"] == path


def test_a_ledger_line_of_several_records_shows_each_and_their_sum(market: Marketplace) -> None:
    ana, path = _billed(market)

    page = ana.browser.get(_newest_line(ana)).text

    log = path.rpartition("/")[0]
    assert all(f'href="{log}/{index}"' in page for index in (1, 2, 3))
    assert "3 records come to" in page
    assert page.count("$0.18") == 2
    assert "Not charged to you" not in page


def test_records_that_a_ledger_line_does_not_charge_whole_are_told(market: Marketplace) -> None:
    ana = market.customer(micros=HOURLY)
    made = ana.launched()
    market.runs(made)
    market.uses(made, 61)

    page = ana.browser.get(_newest_line(ana)).text

    assert "61 records come to" in page
    assert "$3.66" in page
    assert "Not charged to you" in page
    assert "$3.60" in page


def test_a_receipt_of_somebody_else_is_absent(market: Marketplace) -> None:
    _, path = _billed(market)
    eve = market.customer("eve@other.example")

    answers = [
        eve.browser.get(path),
        eve.browser.get(f"{path}.tlog-proof"),
        market.host.get(path),
    ]

    assert {answer.status_code for answer in answers} == {404}


def test_entries_that_are_no_usage_and_places_beyond_the_log_are_absent(
    market: Marketplace,
) -> None:
    ana, path = _billed(market)
    log = path.rpartition("/")[0]

    answers = [
        ana.browser.get(f"{log}/{place}")
        for place in ("0", "99", "99999999999999999999", "0.tlog-proof", "-1")
    ]
    answers.append(ana.browser.get("/billing/receipts/no/such/log/1"))
    answers.append(ana.browser.get("/billing/ledger/424242/receipt"))

    assert {answer.status_code for answer in answers} == {404}


def _billed(market: Marketplace, *, minutes: int = 3) -> tuple[Customer, str]:
    """A customer with verified minutes, and where the receipt of the last one is."""
    ana = market.customer()
    made = ana.launched()
    market.runs(made)
    market.uses(made, minutes)
    return ana, f"/billing/receipts/registry.example/log/{market.node_id}/0/{minutes}"


def _newest_line(ana: Customer) -> str:
    ledger = ana.browser.get("/billing/ledger").text
    return "/billing/ledger/" + ledger.partition('href="/billing/ledger/')[2].partition('"')[0]

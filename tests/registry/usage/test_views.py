"""Pages of receipts."""

from protocol.receipt import verify_receipt
from protocol.signing import public_bytes
from registry.server.settings import EXTENSION
from tests.registry.marketplace import Customer, Marketplace


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


def test_a_ledger_line_leads_to_its_receipt(market: Marketplace) -> None:
    ana, path = _billed(market)
    ledger = ana.browser.get("/billing/ledger").text
    link = ledger.partition('href="/billing/ledger/')[2].partition('"')[0]

    answer = ana.browser.get(f"/billing/ledger/{link}")

    assert answer.status_code == 303
    assert answer.headers["Location"] == path


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


def _billed(market: Marketplace) -> tuple[Customer, str]:
    """A customer with three verified minutes, and where the receipt of the last one is."""
    ana = market.customer()
    made = ana.launched()
    market.runs(made)
    market.uses(made, 3)
    return ana, f"/billing/receipts/registry.example/log/{market.node_id}/0/3"

"""The ledger as JSON."""

from tests.registry.marketplace import Marketplace


def test_lines_carry_the_running_balance_newest_first(market: Marketplace) -> None:
    ana = market.customer(micros=5_000_000)
    market.fund(ana.tenant_id, 2_000_000)
    program = ana.api()

    answer = program.get("/api/v1/ledger").json

    assert answer is not None
    assert [line["micros"] for line in answer["data"]["lines"]] == [2_000_000, 5_000_000]
    assert [line["balance_after"] for line in answer["data"]["lines"]] == [7_000_000, 5_000_000]
    assert answer["data"]["next_before"] is None


def test_a_page_begins_where_the_one_above_ended(market: Marketplace) -> None:
    ana = market.customer(micros=0)
    market.fund(ana.tenant_id, *[1_000] * 205)
    program = ana.api()

    first = program.get("/api/v1/ledger").json
    assert first is not None
    second = program.get(f"/api/v1/ledger?before={first['data']['next_before']}").json

    assert second is not None
    assert len(first["data"]["lines"]) == 200
    assert len(second["data"]["lines"]) == 5
    assert second["data"]["lines"][0]["balance_after"] == 5_000


def test_a_place_that_cannot_be_read_is_refused(market: Marketplace) -> None:
    program = market.customer(micros=0).api()

    answers = [program.get(f"/api/v1/ledger?before={text}") for text in ("x", "-1", "9" * 30)]

    assert {answer.status_code for answer in answers} == {400}


def test_the_lines_of_another_organization_are_not_there(market: Marketplace) -> None:
    market.customer(micros=5_000_000)
    eve = market.customer("eve@other.example", micros=0).api()

    answer = eve.get("/api/v1/ledger").json

    assert answer is not None
    assert answer["data"]["lines"] == []

"""Statements as programs get them: verified with nobody's help, and nobody else's."""

import msgspec
import pytest

from cli.answers import Answer
from protocol.statement import Statement, verify_statement
from registry.ledger.queries import get_balance
from registry.statements.period import month_of
from tests.registry.marketplace import HOURLY, MODEL, Customer, Marketplace


def fetched(customer: Customer, subject: str) -> Statement:
    answer = customer.api().get(f"/api/v1/statements/{subject}")
    assert answer.status_code == 200, answer.text
    found = msgspec.json.decode(answer.data, type=Answer[Statement]).data
    assert found is not None
    return found


def test_a_month_is_proven_line_by_line_and_sums_to_what_the_ledger_took(
    market: Marketplace,
) -> None:
    ana = market.customer()
    made = ana.launched()
    market.runs(made)
    market.uses(made, 90)
    key = ana.api()
    market.calls(key.key_id, ana.tenant_id, ana.project_id, 1_234)

    found = fetched(ana, month_of(market.rig.clock()).name)

    verified = verify_statement(found)
    with market.rig.database.reading() as db:
        taken = 50_000_000 - get_balance(db, ana.tenant_id).total
    assert verified.total_micros == taken > 0
    assert {(line.sku, line.meter) for line in found.lines} == {
        ("sim-h100.1x", "gpu.ms"),
        (MODEL, "tok.out"),
    }
    assert {line.name for line in found.lines} == {"train-sw-llm", "Key program"}


def test_a_workload_and_a_key_have_statements_of_their_own(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched()
    market.runs(made)
    market.uses(made, 5)
    key = ana.api()
    market.calls(key.key_id, ana.tenant_id, ana.project_id, 1_000)

    work, calls = fetched(ana, made), fetched(ana, key.key_id)

    assert [line.owner for line in work.lines] == [made]
    assert [line.owner for line in calls.lines] == [key.key_id]
    assert verify_statement(work).total_micros == 5 * HOURLY // 60
    assert verify_statement(calls).lines == 1


def test_what_a_lease_did_not_cover_is_told_apart(market: Marketplace) -> None:
    ana = market.customer(micros=HOURLY)
    made = ana.launched()
    market.runs(made)
    market.uses(made, 61)

    found = fetched(ana, made)

    assert verify_statement(found).total_micros == HOURLY
    assert sum(line.unbilled_micros for line in found.lines) == HOURLY // 60


def test_months_are_listed_with_what_they_came_to(market: Marketplace) -> None:
    ana = market.customer()
    nothing = ana.api().get("/api/v1/statements").json
    made = ana.launched()
    market.runs(made)
    market.uses(made, 5)

    (listed,) = ana.api().get("/api/v1/statements").json["data"]  # type: ignore[index]

    assert nothing
    assert nothing["data"] == []
    assert listed["subject"] == month_of(market.rig.clock()).name
    assert (listed["charged_micros"], listed["is_final"]) == (5 * HOURLY // 60, False)


@pytest.mark.parametrize("subject", ["2026-13", "1999-01", "x", "a_0", "2031-01"])
def test_a_period_of_nothing_is_absent(market: Marketplace, subject: str) -> None:
    assert market.customer().api().get(f"/api/v1/statements/{subject}").status_code == 404


def test_another_organizations_statement_is_absent(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched()
    market.runs(made)
    market.uses(made, 5)
    eve = market.customer("eve@other.example").api()

    assert eve.get(f"/api/v1/statements/{made}").status_code == 404
    assert eve.get(f"/api/v1/statements/{month_of(market.rig.clock()).name}").status_code == 404

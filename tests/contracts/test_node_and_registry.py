"""The node's core against the registry itself over HTTP: enrolment, leases, usage, outages."""

import pytest

from agent.leases.queries import list_lease_spend
from agent.sync.operations import stored_desired, stored_key_set
from agent.usage_log.operations import verify_log
from agent.usage_log.queries import get_log
from protocol.refusal import Refusal
from registry.ledger.operations import verify
from registry.ledger.queries import get_balance
from registry.usage.queries import cost_by_owner, find_latest_log
from tests.contracts.edge import TICK_MS, Edge
from tests.registry.marketplace import HOURLY, MODEL, SKU


def test_usage_becomes_money_once_through_outages_and_restarts(edge: Edge) -> None:
    customer = edge.market.customer(micros=50_000_000)
    assert edge.syncs() == "answered"
    allocation_id = customer.launched()
    assert edge.syncs() == "answered"
    wanted = edge.runs()
    assert wanted.allocation_id == allocation_id
    assert [spend.closed for spend in edge.store.run_now(list_lease_spend)] == [False]

    for minute in range(1, 31):
        edge.passes(TICK_MS)
        edge.ticks()
        if minute % 7 == 0:
            edge.restart()
        if minute < 10 or minute > 20:
            assert edge.syncs() == "answered"
    edge.passes(30_000)
    edge.ends()
    edge.ticks()
    edge.syncs()

    with edge.rig.database.unit() as db:
        assert verify(db).problems == ()
        assert cost_by_owner(db, [allocation_id]) == {allocation_id: 30 * TICK_MS + 30_000}
        log = find_latest_log(db, edge.node_id)
        assert log is not None
        assert log.frontier == edge.store.run_now(get_log).frontier
    assert edge.store.run_now(verify_log, None).fault is None
    assert edge.store.run_now(get_log).accepted.size == log.size


def test_work_is_told_to_stop_before_it_costs_more_than_there_is(edge: Edge) -> None:
    customer = edge.market.customer(micros=HOURLY + HOURLY // 10)
    edge.syncs()
    customer.launched()
    edge.syncs()
    wanted = edge.runs()
    minutes = 0
    while edge.verdict(wanted.tenant_id).may_continue:
        minutes += 1
        assert minutes <= 66
        edge.passes(TICK_MS)
        edge.ticks()
        if minutes % 4 == 0:
            edge.syncs()
    edge.passes(10_000)
    edge.ends()
    edge.ticks()
    edge.syncs()

    with edge.rig.database.unit() as db:
        assert verify(db).problems == ()
        balance = get_balance(db, customer.tenant_id)
        assert 0 <= balance.total <= HOURLY // 10
    assert minutes >= 60


def test_a_key_set_and_desired_state_are_held_as_signed(edge: Edge) -> None:
    customer = edge.market.customer()
    customer.api()
    edge.syncs()
    allocation_id = customer.launched()

    edge.syncs()

    keys, state = edge.store.run_now(stored_key_set), edge.store.run_now(stored_desired)
    assert keys is not None
    assert state is not None
    assert [key.tenant_id for key in keys.keys] == [customer.tenant_id]
    assert [one.allocation_id for one in state.allocations] == [allocation_id]
    assert {price.sku for price in state.prices} >= {SKU, MODEL}


def test_an_enrolment_secret_serves_one_key_and_is_named_when_wrong(edge: Edge) -> None:
    edge.enrols(edge.secret)

    with pytest.raises(Refusal) as refused:
        edge.enrols(f"nk_{'0' * 52}_{edge.secret[-16:]}")

    assert (refused.value.code, refused.value.status) == ("secret_invalid", 401)
    assert refused.value.hint


def test_a_node_whose_clock_is_dead_hears_the_time_and_is_answered(edge: Edge) -> None:
    edge.clock_begins(at_ms=1_577_836_800_000, trusted=False)

    assert edge.syncs() == "answered"

    assert edge.clock.trusted
    assert abs(edge.clock.now_ms() - edge.rig.clock()) <= 1_000


def test_a_registry_that_does_not_listen_is_silence(edge: Edge) -> None:
    edge.url = "http://127.0.0.1:9"
    edge.restart()

    assert "silent" in edge.syncs()

"""Edges of a balance: written once, with mails and an event; said in every answer to a key."""

from pathlib import Path

import pytest
from sqlalchemy import text

from protocol.clock import HOUR_MS, MINUTE_MS
from protocol.lifecycle import State as State_
from protocol.refusal import Fault
from registry.accounts.letters import Letter
from registry.allocations.queries import find_allocation
from registry.balances.loop import AGAIN_MS, send_letters
from registry.balances.operations import KEEP_MS, follow, follow_due, standing, told_to_node
from registry.balances.states import State
from registry.feed.event import Event
from registry.feed.queries import list_events
from registry.store.database import Db
from tests.registry.marketplace import HOURLY, Customer, Marketplace
from tests.registry.rig import BASE_URL


def test_money_that_runs_out_is_told_once_at_each_edge(market: Marketplace) -> None:
    ana = _running(market, 100 * HOURLY)
    states = []
    for left in (100, 20, 20, 5, 5):
        _has(market, left * HOURLY)
        states.append(_follow(market, ana))
        states.append(_follow(market, ana))
    _has(market, HOURLY // 2)
    states.append(_follow(market, ana))

    kinds = [(event.kind, event.facts["state"]) for event in _events(market, ana)]
    sent = _mailed(market)

    assert states[0] is State.FUNDED
    assert states[-1] is State.CRITICAL
    assert kinds == [
        ("balance.state_changed", "low"),
        ("balance.reminder", "low"),
        ("balance.state_changed", "critical"),
    ]
    assert [letter.to for letter in sent] == ["ana@umoja.example"] * 3
    assert sent[0].subject.startswith("Balance is low")
    assert sent[1].subject.startswith("Balance lasts less than 6 hours")
    assert f"{BASE_URL}/billing" in sent[2].text
    assert _mailed(market) == []


def test_an_edge_that_is_rolled_back_leaves_nothing_and_comes_again(market: Marketplace) -> None:
    ana = _running(market, 20 * HOURLY)

    class Crash(Exception):
        pass

    def half(db: Db) -> None:
        follow(db, ana.tenant_id, base_url=BASE_URL, now_ms=market.rig.clock())
        raise Crash

    with pytest.raises(Crash):
        market.rig.database.run(half)

    assert _events(market, ana) == []
    assert _mailed(market) == []
    assert _follow(market, ana) is State.LOW
    assert len(_events(market, ana)) == 1


def test_a_top_up_ends_the_state_for_pages_at_once_and_is_told(market: Marketplace) -> None:
    ana = _running(market, 20 * HOURLY)
    _follow(market, ana)

    market.fund(ana.tenant_id, 100 * HOURLY)

    assert "Balance low" not in ana.browser.get("/").text
    assert _follow(market, ana) is State.FUNDED
    assert [event.facts["state"] for event in _events(market, ana)] == ["low", "funded"]


def test_calls_that_were_charged_count_for_the_runway_and_are_forgotten(
    market: Marketplace,
) -> None:
    ana = market.customer(micros=100_000_000)
    ana.api()
    with market.rig.database.reading() as db:
        key_id = str(db.value(text("SELECT api_key_id FROM api_key")))
    _follow(market, ana)
    market.rig.clock.forward(MINUTE_MS)

    market.calls(key_id, ana.tenant_id, ana.project_id, tokens=50_000_000)
    _follow(market, ana)
    with market.rig.database.reading() as db:
        after = standing(db, ana.tenant_id, now_ms=market.rig.clock()).money
        later = standing(db, ana.tenant_id, now_ms=market.rig.clock() + 3 * HOUR_MS).money

    assert after.burn_micros_per_hour > 0
    assert 0 < later.burn_micros_per_hour < after.burn_micros_per_hour // 15


def test_answers_to_a_key_carry_the_state_and_pages_do_not(market: Marketplace) -> None:
    ana = _running(market, 100 * HOURLY)
    program = ana.api()

    calm = program.get("/api/v1/balance")
    _has(market, 20 * HOURLY)
    unknown = program.get("/api/v1/no-such-thing")
    named = program.get("/api/v1/balance")

    assert calm.headers["X-Balance-State"] == "funded"
    assert "X-Balance-State" not in unknown.headers
    assert named.headers["X-Balance-State"] == "low"
    assert named.json is not None
    assert named.json["data"]["state"] == "low"
    assert "X-Balance-State" not in ana.browser.get("/").headers


def test_an_organization_that_never_had_money_is_told_nothing(market: Marketplace) -> None:
    market.customer(micros=0)

    with market.rig.database.unit() as db:
        assert follow_due(db, base_url=BASE_URL, now_ms=market.rig.clock()) == 0

    assert _mailed(market) == []


def test_a_mail_that_nobody_takes_is_tried_again_by_a_schedule_and_then_no_more(
    market: Marketplace, tmp_path: Path
) -> None:
    class Broken:
        tries = 0

        def send(self, letter: Letter) -> None:
            self.tries += 1
            raise Fault("no route")

    ana = _running(market, 20 * HOURLY)
    _follow(market, ana)
    broken = Broken()

    for _ in range(2 * len(AGAIN_MS)):
        send_letters(market.rig.database, broken, market.rig.clock())
        send_letters(market.rig.database, broken, market.rig.clock())
        market.rig.clock.forward(max(AGAIN_MS))

    assert broken.tries == len(AGAIN_MS) + 1


def _running(market: Marketplace, micros: int) -> Customer:
    ana = market.customer(micros=micros)
    market.runs(ana.launched())
    return ana


def _has(market: Marketplace, left: int) -> None:
    """So much is left, and no lease holds any of it."""
    with market.rig.database.unit() as db:
        db.execute(text("UPDATE account SET balance = :left, held = 0"), {"left": -left})


def _follow(market: Marketplace, ana: Customer) -> State:
    market.rig.clock.forward(1_000)
    with market.rig.database.unit() as db:
        return follow(db, ana.tenant_id, base_url=BASE_URL, now_ms=market.rig.clock())


def _events(market: Marketplace, ana: Customer) -> list[Event]:
    with market.rig.database.reading() as db:
        return list_events(db, ana.tenant_id)


def _mailed(market: Marketplace) -> list[Letter]:
    """The mails that were handed over just now."""
    before = len(market.rig.mail.letters)
    send_letters(market.rig.database, market.rig.mail, market.rig.clock())
    return market.rig.mail.letters[before:]


def test_what_stopped_begins_again_when_money_came_in(market: Marketplace) -> None:
    ana = market.customer(micros=6 * HOURLY)
    allocation_id = ana.launched()
    market.runs(allocation_id)
    market.node_says(allocation_id, "exited", failure="lease")
    market.node_says(allocation_id, "absent")
    _has(market, 0)
    spent = _sync(market, ana)

    market.fund(ana.tenant_id, 100 * HOURLY)
    funded = _sync(market, ana)
    page = ana.browser.get(f"/workloads/{allocation_id}").text

    assert spent == [("depleted", State_.INSUFFICIENT_BALANCE)]
    assert funded == [("funded", State_.PROVISIONING)]
    assert "it starts again on its node" in page


def test_a_payment_that_covers_no_first_hour_begins_nothing(market: Marketplace) -> None:
    ana = _running(market, 6 * HOURLY)
    (allocation_id,) = _allocations(market)
    market.node_says(allocation_id, "exited", failure="lease")
    _has(market, 0)
    _sync(market, ana)

    market.fund(ana.tenant_id, HOURLY // 2)

    assert _sync(market, ana) == [("depleted", State_.INSUFFICIENT_BALANCE)]


def test_what_stopped_more_than_a_week_ago_or_has_no_room_stays_stopped(
    market: Marketplace,
) -> None:
    ana = _running(market, 6 * HOURLY)
    (allocation_id,) = _allocations(market)
    market.node_says(allocation_id, "exited", failure="lease")
    _has(market, 0)
    _sync(market, ana)

    market.rig.clock.forward(KEEP_MS + HOUR_MS)
    market.fund(ana.tenant_id, 100 * HOURLY)

    assert _sync(market, ana) == [("funded", State_.INSUFFICIENT_BALANCE)]


def _allocations(market: Marketplace) -> list[str]:
    with market.rig.database.reading() as db:
        return [str(row[0]) for row in db.fetch("SELECT allocation_id FROM allocation", {})]


def _sync(market: Marketplace, ana: Customer) -> list[tuple[str, State_]]:
    """What the node hears of the organization's money, and the state of its one workload."""
    market.rig.clock.forward(1_000)
    market.online()
    with market.rig.database.unit() as db:
        told = told_to_node(db, market.node_id, {}, base_url=BASE_URL, now_ms=market.rig.clock())
        (allocation_id,) = [
            str(row[0]) for row in db.fetch("SELECT allocation_id FROM allocation", {})
        ]
        found = find_allocation(db, allocation_id)
        assert found is not None
        return [(one.state, found.state) for one in told if one.tenant_id == ana.tenant_id]

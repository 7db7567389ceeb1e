"""Ticks: what ran is billed once, whatever happens between them; leases pay for it first."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.leases.operations import list_verdicts
from agent.leases.queries import list_lease_spend
from agent.metering.operations import begin_time
from agent.usage_log.operations import verify_log
from protocol.clock import HOUR_MS
from protocol.lease import Lease
from protocol.usage import Closed, Heartbeat, LeaseClosed, Opened, Use
from tests.agent.metering.rig import TICK_MS, Node, finished_call
from tests.fakes.agent_store import BEGIN_MS, migrated


def test_a_run_is_opened_used_and_closed(node: Node) -> None:
    node.grant(Lease(7, "t_1", 100_000, HOUR_MS))
    node.run()
    node.tick()
    node.passed(TICK_MS).seen().tick()
    node.passed(30_000).change(
        "finished_at_ms = :now, phase = 'exited', failure = 'exited'", now=node.now_ms
    )
    node.passed(5_000).tick()

    opened, first, second, closed = node.entries()
    assert isinstance(opened, Opened)
    assert (opened.accelerators, opened.at_ms) == (("GPU-1",), BEGIN_MS)
    assert isinstance(first, Use)
    assert isinstance(second, Use)
    assert [first.quantity, second.quantity] == [60_000, 30_000]
    assert {first.lease_id, second.lease_id} == {7}
    assert closed == Closed("a_1", at_ms=BEGIN_MS + 90_000, reason="exited")
    assert [(spend.spent, spend.reserved) for spend in list_lease_spend(node.db)] == [(90, 0)]


def test_charging_ends_with_the_request_to_release(node: Node) -> None:
    node.grant(Lease(7, "t_1", 100_000, HOUR_MS))
    node.run()
    node.passed(20_000).change("released_at_ms = :now, phase = 'stopping'", now=node.now_ms)
    node.passed(30_000).seen().tick()
    node.change("finished_at_ms = :now, phase = 'absent'", now=node.now_ms)
    node.passed(30_000).tick()

    assert node.billed_ms() == 20_000


def test_nothing_is_metered_past_the_moment_it_was_last_seen(node: Node) -> None:
    node.grant(Lease(7, "t_1", 100_000, HOUR_MS))
    node.run()
    node.passed(40_000).seen()
    node.passed(500_000).tick()

    assert node.billed_ms() == 40_000


def test_an_agent_that_was_down_bills_the_whole_time_of_a_container_that_stayed(
    node: Node,
) -> None:
    node.grant(Lease(7, "t_1", 100_000, HOUR_MS))
    node.run()
    node.tick()

    node.passed(40 * 60_000).seen().tick()

    assert node.billed_ms() == 40 * 60_000
    assert verify_log(node.db, None).fault is None


def test_time_in_suspend_stands_in_the_log_and_is_not_billed(node: Node) -> None:
    node.grant(Lease(7, "t_1", 100_000, 8 * HOUR_MS))
    node.run()
    node.tick()
    node.passed(10_000).slept(6 * HOUR_MS).passed(50_000).seen().tick()

    assert node.billed_ms() == 60_000
    assert node.uses()[-1].end_ms == node.now_ms
    assert verify_log(node.db, None).fault is None


def test_sleep_is_not_billed_though_the_first_tick_comes_before_anybody_looked(
    node: Node,
) -> None:
    node.grant(Lease(7, "t_1", 100_000, 8 * HOUR_MS))
    node.run()
    node.tick()
    node.passed(10_000).seen().slept(6 * HOUR_MS).tick()
    node.passed(50_000).seen().tick()

    assert node.billed_ms() == 60_000
    assert node.uses()[-1].end_ms == node.now_ms
    assert verify_log(node.db, None).fault is None


def test_a_run_that_ended_before_its_node_slept_is_closed_where_it_ended(node: Node) -> None:
    node.grant(Lease(7, "t_1", 100_000, 8 * HOUR_MS))
    node.run()
    node.tick()
    node.passed(10_000).change("finished_at_ms = :now, phase = 'exited'", now=node.now_ms)
    ended_ms = node.now_ms
    node.slept(6 * HOUR_MS).tick()

    assert node.billed_ms() <= 10_000
    assert node.uses()[-1].end_ms == ended_ms


def test_another_attempt_goes_on_later_in_the_same_stream(
    node: Node,
) -> None:
    node.grant(Lease(7, "t_1", 100_000, 8 * HOUR_MS))
    node.run()
    node.passed(60_000).change("finished_at_ms = :now, phase = 'exited'", now=node.now_ms)
    node.tick()
    node.passed(HOUR_MS).change(
        "attempt = 2, container_id = 'c2', phase = 'running', closed = 0, finished_at_ms = NULL, "
        "metered_to_ms = NULL, ready_at_ms = :now, seen_at_ms = :now",
        now=node.now_ms,
    )
    node.passed(60_000).seen().tick()

    assert [entry.container_id for entry in node.entries() if isinstance(entry, Opened)] == [
        "c1",
        "c2",
    ]
    assert node.billed_ms() == 120_000
    assert verify_log(node.db, None).fault is None


def test_a_run_without_accelerators_is_opened_and_closed_and_costs_nothing(node: Node) -> None:
    node.grant(Lease(7, "t_1", 100, HOUR_MS))
    node.run(gpus="[]")
    node.tick()
    node.passed(HOUR_MS // 2).change(
        "finished_at_ms = :now, phase = 'exited', failure = 'exited'", now=node.now_ms
    )
    node.tick()

    assert [type(entry) for entry in node.entries()] == [Opened, Closed]


def test_a_tick_sets_the_next_stretch_aside_before_it_begins(node: Node) -> None:
    node.grant(Lease(7, "t_1", 1_000, HOUR_MS))
    node.run()

    node.tick()

    (spend,) = list_lease_spend(node.db)
    assert (spend.spent, spend.reserved) == (0, 120)


def test_a_run_that_its_lease_cannot_carry_on_is_told_to_stop_and_billed_to_its_end(
    node: Node,
) -> None:
    node.grant(Lease(7, "t_1", 150, HOUR_MS))
    node.run()
    assert node.tick().uncovered == ()
    node.passed(TICK_MS).seen()

    assert node.tick().uncovered == ("a_1",)

    verdict = list_verdicts(node.db, ["t_1"], boot_id=node.boot_id, boot_ms=node.boot_ms)["t_1"]
    assert verdict.must_stop
    node.passed(TICK_MS).change(
        "finished_at_ms = :now, phase = 'exited', failure = 'lease'", now=node.now_ms
    )
    node.tick()
    *_, closed, lease_closed = node.entries()
    assert closed == Closed("a_1", node.now_ms, "lease")
    assert lease_closed == LeaseClosed(7, "t_1", node.now_ms, spent=120, reason="spent")
    assert node.billed_ms() == 120_000


def test_a_run_whose_tenant_never_had_a_lease_is_told_to_stop_and_leaves_no_record(
    node: Node,
) -> None:
    node.run()
    node.passed(10_000).seen()

    assert node.tick().uncovered == ("a_1",)
    node.change("finished_at_ms = :now, phase = 'exited'", now=node.now_ms)
    assert node.tick().uncovered == ()
    assert node.tick().runs == 0

    assert node.entries() == []


def test_a_run_whose_lease_was_closed_already_is_recorded_under_it(node: Node) -> None:
    node.grant(Lease(7, "t_1", 100_000, HOUR_MS))
    node.grant()
    node.tick()
    node.run()
    node.passed(10_000).seen().tick()

    assert [(use.lease_id, use.quantity) for use in node.uses()] == [(7, 10_000)]


def test_a_run_that_the_registry_never_asked_for_is_not_recorded(node: Node) -> None:
    node.grant(Lease(7, "t_1", 100_000, HOUR_MS))
    node.run()
    node.change("known = 0")

    assert node.passed(10_000).seen().tick().runs == 0


def test_an_end_that_the_engine_dates_into_the_future_is_stated_as_now(node: Node) -> None:
    node.grant(Lease(7, "t_1", 100_000, HOUR_MS))
    node.run()
    node.passed(10_000).change(
        "finished_at_ms = :late, phase = 'exited'", late=node.now_ms + 172_800_000
    )
    node.tick()

    assert node.entries()[-1] == Closed("a_1", node.now_ms, "ended")


def test_a_top_up_covers_a_run_again(node: Node) -> None:
    node.grant(Lease(7, "t_1", 100, HOUR_MS))
    node.run()
    assert node.tick().uncovered == ("a_1",)

    node.grant(Lease(7, "t_1", 100, HOUR_MS), Lease(8, "t_1", 1_000, HOUR_MS))

    assert node.tick().uncovered == ()
    verdict = list_verdicts(node.db, ["t_1"], boot_id=node.boot_id, boot_ms=node.boot_ms)["t_1"]
    assert verdict.may_start


def test_finished_calls_become_records_once_and_before_their_lease_closes(node: Node) -> None:
    node.grant(Lease(7, "t_1", 100, HOUR_MS))
    node.passed(5_000)
    finished_call(node, "c_1", tokens_out=30, micros=30)
    finished_call(node, "c_2", tokens_out=12, micros=12)
    node.passed(1_000).grant()

    assert node.tick().calls == 2
    assert node.tick().calls == 0

    out, requests, closed = node.entries()
    assert isinstance(out, Use)
    assert isinstance(requests, Use)
    assert (out.meter, out.quantity, requests.meter, requests.quantity) == ("tok.out", 42, "req", 2)
    assert closed == LeaseClosed(7, "t_1", node.now_ms, spent=42, reason="recalled")


def test_a_heartbeat_is_written_when_it_is_due(node: Node) -> None:
    node.tick(heartbeat=True)
    node.tick()

    assert [type(entry) for entry in node.entries()] == [Heartbeat]


def test_nothing_is_written_down_before_the_time_is_trusted(node: Node) -> None:
    node.grant(Lease(7, "t_1", 100_000, HOUR_MS))
    node.run()
    node.trusted = False
    node.passed(20_000).seen().tick(heartbeat=True)
    assert node.entries() == []

    node.trusted = True
    node.tick()

    assert node.billed_ms() == 20_000


def test_an_error_within_a_tick_leaves_no_record_and_no_spending(node: Node) -> None:
    node.grant(Lease(7, "t_1", 1_000, HOUR_MS))
    node.run("a_1")
    node.run("a_2", gpus='["GPU\\u0007"]')
    node.passed(TICK_MS).seen("a_1").seen("a_2")

    with pytest.raises(AssertionError):
        node.tick()

    assert node.entries() == []
    assert [spend.reserved for spend in list_lease_spend(node.db)] == [0]


def test_time_goes_on_after_a_restart_and_never_back_after_a_reboot(node: Node) -> None:
    node.passed(HOUR_MS).tick()

    same, _ = begin_time(node.db, boot_id="boot1", boot_ms=HOUR_MS, wall_ms=5)
    other, floor_ms = begin_time(node.db, boot_id="boot2", boot_ms=0, wall_ms=5)

    assert same.now_ms(HOUR_MS) == BEGIN_MS + HOUR_MS
    assert other.now_ms(0) == floor_ms == BEGIN_MS + HOUR_MS
    assert (same.trusted, other.trusted) == (True, False)


@given(st.lists(st.tuples(st.integers(0, 400_000), st.booleans(), st.booleans()), max_size=12))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_bill_is_the_time_seen_however_ticks_fall(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool, bool]]
) -> None:
    with migrated(tmp_path_factory.mktemp("ticks")) as db:
        node = Node(db, started_ms=BEGIN_MS + 3_500_000)
        node.grant(Lease(7, "t_1", 10_000_000, 100 * HOUR_MS))
        node.run()
        asleep_ms = seen_ms = 0
        for length_ms, sleeps, ticks in steps:
            if sleeps and length_ms > 1_000:
                node.tick()
                node.slept(length_ms).seen().tick()
                asleep_ms += length_ms
            else:
                node.passed(length_ms).seen()
            seen_ms = node.boot_ms
            if ticks:
                node.tick()
        node.tick()

        assert node.billed_ms() == seen_ms - asleep_ms
        assert verify_log(db, None).fault is None
        (spend,) = list_lease_spend(db)
        assert spend.spent == node.billed_ms() // 1_000


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with migrated(tmp_path) as db:
        yield Node(db)

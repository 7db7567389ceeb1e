"""Orders become containers, one each, whatever happens on the way."""

from pathlib import Path

import pytest

from agent.allocations import queries
from agent.allocations.plan import STOP_GRACE_MS
from protocol.manifest import Manifest
from tests.fakes.node import node, running_container
from tests.fakes.orders import IMAGE, numbered_id, order
from tests.fakes.runtime import Killed

A, B, C = (numbered_id("allocation", number) for number in (1, 2, 3))
TASK = Manifest(image=IMAGE, kind="task")


def test_an_order_becomes_one_running_container(tmp_path: Path) -> None:
    with node(tmp_path) as site:
        site.want(order(A, accelerators=1))

        report = site.run_pass()

        run = site.run_of(A)
        assert run.phase == "running"
        assert run.ready_at_ms == run.started_at_ms == site.engine.now_ms
        assert run.accelerators == site.engine.containers["c1"].accelerators
        assert site.claims() == {run.accelerators[0]: A}
        assert site.changes == 1
        assert report == "1 allocations, 1 containers, 5 steps, 0 strangers"


def test_a_pass_over_what_stands_changes_nothing(tmp_path: Path) -> None:
    with node(tmp_path) as site:
        site.want(order(A, accelerators=1))
        site.run_pass()
        before = site.run_of(A)

        site.run_pass()

        assert site.run_of(A) == before
        assert site.changes == 1


@pytest.mark.parametrize("die_before", [True, False])
@pytest.mark.parametrize("die_at", range(1, 13))
def test_killed_anywhere_on_the_way_up_there_is_one_container(
    tmp_path: Path, die_at: int, die_before: bool
) -> None:
    with node(tmp_path) as site:
        site.want(order(A, accelerators=1), order(B, accelerators=1))
        site.engine.die_at, site.engine.die_before = die_at, die_before

        with pytest.raises(Killed):
            site.run_pass()
        site.restart()
        site.run_pass()

        assert [one.state for one in site.engine.containers.values()] == ["running"] * 2
        assert sorted(site.claims().values()) == [A, B]
        assert site.engine.made == 2
        for run in (site.run_of(A), site.run_of(B)):
            assert run.phase == "running"
            assert site.engine.containers[run.container_id].accelerators == run.accelerators


@pytest.mark.parametrize("die_before", [True, False])
@pytest.mark.parametrize("die_at", range(1, 9))
def test_killed_anywhere_on_the_way_down_nothing_is_left(
    tmp_path: Path, die_at: int, die_before: bool
) -> None:
    with node(tmp_path) as site:
        site.want(order(A, accelerators=1))
        site.run_pass()
        site.want(order(A, accelerators=1, phase="absent", released_at_ms=site.now_ms))
        site.engine.calls.clear()
        site.engine.die_at, site.engine.die_before = die_at, die_before

        for _ in range(4):
            try:
                site.run_pass()
            except Killed:
                site.restart()
            site.close_usage()
            site.tick(STOP_GRACE_MS)

        assert site.engine.containers == {}
        assert site.engine.networks == set()
        assert site.claims() == {}
        assert site.run_of(A).phase == "absent"
        assert site.run_of(A).failure is None


def test_a_restarted_agent_adopts_what_it_finds(tmp_path: Path) -> None:
    with node(tmp_path) as site:
        site.want(order(A))
        site.run_pass()
        before = site.run_of(A)

        site.restart()
        site.run_pass()

        assert site.run_of(A) == before
        assert site.engine.made == 1


def test_gpus_are_not_let_go_before_their_usage_is_closed(tmp_path: Path) -> None:
    with node(tmp_path) as site:
        site.want(order(A, accelerators=1))
        site.run_pass()
        site.want(order(A, accelerators=1, phase="absent", released_at_ms=site.now_ms))

        site.run_pass()
        assert site.run_of(A).phase == "exited"
        assert list(site.claims().values()) == [A]
        site.close_usage()
        site.run_pass()

        assert site.run_of(A).phase == "absent"
        assert site.claims() == {}


def test_what_is_missing_from_the_list_is_kept(tmp_path: Path) -> None:
    with node(tmp_path) as site:
        site.want(order(A))
        site.run_pass()

        site.want(generation=2)
        site.run_pass()

        assert site.run_of(A).phase == "running"
        assert site.engine.containers["c1"].state == "running"


def test_an_absent_run_is_forgotten_once_it_is_not_listed(tmp_path: Path) -> None:
    with node(tmp_path) as site:
        site.want(order(A, phase="absent"))
        site.run_pass()
        assert site.observed() == {A: ("absent", None)}

        site.want(generation=2)
        site.run_pass()

        assert site.observed() == {}


def test_a_container_nobody_asked_for_is_kept_reported_and_keeps_its_gpu(tmp_path: Path) -> None:
    with node(tmp_path, gpus=1) as site:
        site.engine.containers["old"] = running_container("old", B, accelerators=site.uuids)
        site.want(order(A, accelerators=1))

        site.run_pass()

        assert site.engine.containers["old"].state == "running"
        assert site.observed()[B] == ("running", None)
        assert site.run_of(B).ready_at_ms is None
        assert site.claims() == {site.uuids[0]: B}
        assert site.engine.made == 0


def test_an_unknown_container_that_is_asked_for_after_all_is_adopted_and_charged_from_now(
    tmp_path: Path,
) -> None:
    with node(tmp_path, gpus=1) as site:
        site.engine.containers["old"] = running_container("old", A, accelerators=site.uuids)
        site.run_pass()
        site.tick(60_000)

        site.want(order(A, accelerators=1))
        site.run_pass()

        run = site.run_of(A)
        assert (run.phase, run.container_id, run.known) == ("running", "old", True)
        assert run.ready_at_ms == site.now_ms
        assert site.engine.made == 0


def test_a_second_container_of_an_allocation_is_a_stranger_and_left_alone(tmp_path: Path) -> None:
    with node(tmp_path) as site:
        site.want(order(A))
        site.run_pass()
        site.engine.containers["x"] = running_container("x", A)

        report = site.run_pass()

        assert report.endswith("1 strangers")
        assert site.engine.containers["x"].state == "running"
        assert site.run_of(A).container_id == "c1"


def test_a_silent_engine_changes_nothing_and_says_so(tmp_path: Path) -> None:
    with node(tmp_path) as site:
        site.want(order(A))
        site.run_pass()
        site.engine.silent = True

        report = site.run_pass()

        assert report == "engine unreachable, 0 steps"
        assert site.run_of(A).phase == "running"
        assert "does not answer" in site.store.run_now(queries.list_observed)[0].detail
        site.engine.silent = False
        site.run_pass()
        assert site.store.run_now(queries.list_observed)[0].detail == ""


def test_a_service_that_ends_has_failed_and_a_task_that_ends_well_has_not(tmp_path: Path) -> None:
    with node(tmp_path) as site:
        site.want(order(A), order(B, TASK), order(C, TASK))
        site.run_pass()
        site.tick(5_000)

        site.engine.exit("c1", 0)
        site.engine.exit("c2", 0)
        site.engine.exit("c3", 3)
        site.run_pass()

        assert site.observed() == {
            A: ("exited", "exited"),
            B: ("exited", None),
            C: ("exited", "exited"),
        }
        assert site.run_of(C).exit_code == 3
        assert site.run_of(B).finished_at_ms == site.now_ms
        site.close_usage()
        site.run_pass()
        assert site.engine.made == 3


def test_running_out_of_memory_is_named(tmp_path: Path) -> None:
    with node(tmp_path) as site:
        site.want(order(A))
        site.run_pass()

        site.engine.exit("c1", 137, oom_killed=True)
        site.run_pass()

        assert site.observed() == {A: ("exited", "oom_killed")}


def test_a_container_that_was_removed_is_charged_to_the_last_durable_tick(tmp_path: Path) -> None:
    with node(tmp_path) as site:
        site.want(order(A))
        site.run_pass()
        began_at_ms = site.now_ms
        site.tick(60_000)

        del site.engine.containers["c1"]
        site.run_pass()

        assert site.observed() == {A: ("exited", "container_lost")}
        assert site.run_of(A).finished_at_ms == began_at_ms


def test_gpus_wait_for_their_usage_to_be_closed_however_long_that_takes(tmp_path: Path) -> None:
    with node(tmp_path, gpus=1) as site:
        site.want(order(A, accelerators=1))
        site.run_pass()
        site.want(order(A, accelerators=1, phase="absent"))
        site.run_pass()
        site.run_pass()

        site.tick(24 * 3_600_000)
        site.run_pass()

        assert set(site.claims().values()) == {A}
        assert site.run_of(A).phase == "exited"

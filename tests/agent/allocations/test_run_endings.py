"""How runs wait, end and begin again: reboots, leases, probes, GPUs, faults of the engine."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.allocations import queries
from agent.allocations.plan import LEASE_WAIT_MS, STOP_GRACE_MS
from agent.allocations.runtime import EngineFault
from protocol.manifest import Manifest, Probe
from tests.fakes.node import node, running_container
from tests.fakes.orders import IMAGE, numbered_id, order

A, B, C = (numbered_id("allocation", number) for number in (1, 2, 3))
TASK = Manifest(image=IMAGE, kind="task")


def test_after_a_reboot_a_service_is_begun_anew_and_a_task_is_not(tmp_path: Path) -> None:
    with node(tmp_path) as site:
        site.want(order(A, accelerators=1), order(B, TASK))
        site.run_pass()
        gpus = site.run_of(A).accelerators
        began_at_ms = site.now_ms
        site.tick(60_000)
        site.engine.exit("c1", 137)
        site.engine.exit("c2", 137)
        site.boot_id = "boot-2"
        site.grant()

        site.run_pass()
        assert site.run_of(A).finished_at_ms == began_at_ms
        site.close_usage()
        site.run_pass()

        assert site.observed() == {A: ("running", None), B: ("exited", "interrupted")}
        run = site.run_of(A)
        assert (run.attempt, run.boot_id, run.accelerators) == (2, "boot-2", gpus)
        assert "c1" not in site.engine.containers
        assert "c2" in site.engine.containers


@pytest.mark.parametrize("skew_ms", [-400, 3_600_000])
def test_what_is_charged_is_in_the_nodes_own_time_whatever_the_machines_clock_says(
    tmp_path: Path, skew_ms: int
) -> None:
    with node(tmp_path) as site:
        site.skew_ms = skew_ms
        site.want(order(A))
        site.run_pass()
        assert site.run_of(A).started_at_ms == site.now_ms
        assert site.run_of(A).ready_at_ms == site.now_ms + skew_ms
        site.tick(5_000)
        site.engine.exit("c1", 1)
        site.tick(1_000)

        site.run_pass()

        assert site.run_of(A).finished_at_ms == site.now_ms - 1_000 + skew_ms


def test_one_that_was_restarted_from_outside_goes_on_as_a_new_attempt(tmp_path: Path) -> None:
    with node(tmp_path) as site:
        site.want(order(A))
        site.run_pass()
        site.tick(60_000)
        site.engine.containers["c1"] = running_container(
            "c1", A, started_at_ms=site.now_ms, spec_hash=site.run_of(A).spec_hash
        )

        site.run_pass()
        site.close_usage()
        site.run_pass()

        run = site.run_of(A)
        assert (run.phase, run.attempt, run.ready_at_ms) == ("running", 2, site.now_ms)
        assert site.engine.made == 1


def test_work_stops_when_its_lease_ends_and_starts_again_only_on_a_newer_order(
    tmp_path: Path,
) -> None:
    with node(tmp_path) as site:
        site.want(order(A))
        site.run_pass()
        site.recall()
        site.run_pass()
        site.close_usage()
        assert site.observed() == {A: ("exited", "lease")}

        site.grant()
        site.run_pass()
        assert site.observed() == {A: ("exited", "lease")}
        site.want(order(A), generation=2)
        site.run_pass()

        assert site.observed() == {A: ("running", None)}


def test_a_launch_waits_a_while_for_its_first_lease(tmp_path: Path) -> None:
    with node(tmp_path) as site:
        site.recall()
        site.want(order(A))
        site.run_pass()
        assert "waiting for a budget lease" in site.run_of(A).detail
        assert site.engine.made == 0

        site.tick(LEASE_WAIT_MS)
        site.run_pass()

        assert site.observed() == {A: ("exited", "lease")}


def test_one_that_does_not_heed_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    with node(tmp_path) as site:
        site.engine.deaf_to_sigterm = True
        site.want(order(A))
        site.run_pass()
        site.want(order(A, phase="absent", released_at_ms=site.now_ms))
        site.run_pass()
        assert site.run_of(A).phase == "stopping"

        site.tick(STOP_GRACE_MS)
        site.run_pass()
        site.run_pass()

        assert site.engine.containers["c1"].exit_code == 137
        assert site.run_of(A).phase == "exited"
        assert site.run_of(A).released_at_ms is not None


@pytest.mark.parametrize("at", ["image", "create", "start"])
def test_what_fails_on_the_way_up_is_named_and_holds_up_nobody(tmp_path: Path, at: str) -> None:
    with node(tmp_path) as site:
        site.want(order(A, accelerators=1))
        site.engine.faults[at] = EngineFault("some_code", "It went wrong.")
        site.run_pass()
        del site.engine.faults[at]
        site.want(order(A, accelerators=1), order(B, accelerators=2))

        site.run_pass()

        assert site.observed() == {A: ("exited", "some_code"), B: ("running", None)}
        assert site.run_of(A).detail == "It went wrong."
        assert set(site.claims().values()) == {B}


def test_a_pull_is_waited_for(tmp_path: Path) -> None:
    with node(tmp_path) as site:
        site.engine.pulls_left = 2
        site.want(order(A))

        site.run_pass()
        assert site.observed() == {A: ("pulling", None)}
        assert site.run_of(A).detail == "pulling the image: 50 %"
        site.run_pass()
        site.run_pass()

        assert site.observed() == {A: ("running", None)}


def test_a_gpu_that_another_is_just_letting_go_is_waited_for(tmp_path: Path) -> None:
    with node(tmp_path, gpus=1) as site:
        site.want(order(A, accelerators=1))
        site.run_pass()
        site.want(order(A, accelerators=1, phase="absent"), order(B, accelerators=1))
        site.run_pass()
        assert site.observed()[B] == ("pulling", None)

        site.close_usage()
        site.run_pass()

        assert site.observed() == {A: ("absent", None), B: ("running", None)}


def test_more_gpus_than_there_are_is_refused_at_once(tmp_path: Path) -> None:
    with node(tmp_path, gpus=1) as site:
        site.want(order(A, accelerators=2))

        site.run_pass()

        assert site.observed() == {A: ("exited", "accelerators_absent")}
        assert site.engine.made == 0


def test_without_a_guard_what_needs_a_network_is_refused_and_the_rest_has_none(
    tmp_path: Path,
) -> None:
    with node(tmp_path) as site:
        site.guard.fault = "iptables: must be root"
        site.want(order(A), order(B, Manifest(image=IMAGE, ports=(8080,))))

        site.run_pass()

        assert site.observed() == {A: ("running", None), B: ("exited", "egress_unprotected")}
        assert site.engine.specs["c1"].network is None
        fault = site.store.run_now(queries.find_engine_fault, queries.EGRESS)
        assert fault == "iptables: must be root"


def test_charging_begins_when_the_probe_passes_and_a_silent_one_is_given_up(tmp_path: Path) -> None:
    with node(tmp_path) as site, listener() as port:
        probed = Manifest(image=IMAGE, ports=(port,), probe=Probe(kind="tcp", port=port))
        dead = Manifest(image=IMAGE, ports=(1024,), probe=Probe(kind="tcp", port=1024, timeout_s=5))
        site.want(order(A, probed), order(B, dead))

        site.run_pass()
        assert site.observed() == {A: ("running", None), B: ("probing", None)}
        assert site.run_of(B).ready_at_ms is None
        site.tick(5_000)
        site.run_pass()

        assert site.observed() == {A: ("running", None), B: ("exited", "probe_timeout")}


@contextmanager
def listener() -> Iterator[int]:
    """A port that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]

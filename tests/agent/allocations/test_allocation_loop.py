"""Orders become containers, one each, whatever happens on the way."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.accelerators.queries import list_claims
from agent.allocations import queries
from agent.allocations.container_spec import NodePolicy
from agent.allocations.loop import AllocationLoop, Allocations
from agent.allocations.operations import Inventory, Moment
from agent.allocations.plan import LEASE_WAIT_MS, STOP_GRACE_MS
from agent.allocations.run import Run
from agent.allocations.runtime import Container, EngineFault
from agent.drivers.simulated import SimulatedAccelerators
from agent.leases.operations import replace_leases
from agent.store.database import Db
from agent.store.thread import Store
from protocol.desired import DesiredAllocation, DesiredState
from protocol.lease import Lease
from protocol.manifest import Manifest, Probe
from tests.fakes.orders import IMAGE, TENANT, numbered_id, order, orders
from tests.fakes.runtime import FakeEngine, FakeGuard, Killed

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


def running_container(
    container_id: str,
    allocation_id: str,
    *,
    accelerators: tuple[str, ...] = (),
    started_at_ms: int = 500,
    spec_hash: str = "",
) -> Container:
    return Container(
        container_id=container_id,
        allocation_id=allocation_id,
        tenant_id=TENANT,
        state="running",
        accelerators=accelerators,
        started_at_ms=started_at_ms,
        spec_hash=spec_hash,
        address="127.0.0.1",
    )


@contextmanager
def listener() -> Iterator[int]:
    """A port that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class Site:
    """A node with a real store, and an engine, guard and clock of its own."""

    def __init__(self, path: Path, gpus: int) -> None:
        self.path = path
        self.engine = FakeEngine()
        self.guard = FakeGuard()
        self.boot_id = "boot-1"
        self.changes = 0
        self.desired: DesiredState | None = None
        self.source = SimulatedAccelerators(
            node="n", count=gpus, model="Simulated GPU", memory_mib=1024, seed=1, boottime=lambda: 0
        )
        self.store = Store(path)
        self.grant()

    @property
    def now_ms(self) -> int:
        return self.engine.now_ms

    @property
    def uuids(self) -> tuple[str, ...]:
        return tuple(card.uuid for card in asyncio.run(self.source.list_accelerators()))

    def want(self, *allocations: DesiredAllocation, generation: int = 1) -> None:
        self.desired = orders(allocations, generation=generation)

    def run_pass(self) -> str:
        return asyncio.run(AllocationLoop(self._needs())())

    def restart(self) -> None:
        """The agent ends and comes back: nothing but the file and the engine is left."""
        self.store.close()
        self.store = Store(self.path)

    def tick(self, elapsed_ms: int) -> None:
        self.engine.now_ms += elapsed_ms

    def grant(self) -> None:
        lease = Lease(lease_id=1, tenant_id=TENANT, amount=10**9, expires_in_ms=10**12)
        self._lease([lease])

    def recall(self) -> None:
        self._lease([])

    def close_usage(self) -> None:
        """Do as metering does: close the usage of what has ended."""
        self.store.run_now(_close_usage)

    def run_of(self, allocation_id: str) -> Run:
        run = self.store.run_now(queries.find_run, allocation_id)
        assert run is not None
        return run

    def claims(self) -> dict[str, str]:
        return dict(self.store.run_now(list_claims))

    def observed(self) -> dict[str, tuple[str, str | None]]:
        seen = self.store.run_now(queries.list_observed)
        return {one.allocation_id: (one.phase, one.failure) for one in seen}

    def _lease(self, leases: list[Lease]) -> None:
        self.store.run_now(replace_leases, leases, sent_boot_ms=self.now_ms, boot_id=self.boot_id)

    def _needs(self) -> Allocations:
        return Allocations(
            store=self.store,
            runtime=self.engine,
            guard=self.guard,
            desired=lambda _: self.desired,
            inventory=self._inventory,
            policy=NodePolicy(node_id="n_node", demo=True),
            moment=lambda: Moment(self.now_ms, self.boot_id, self.now_ms),
            on_change=self._changed,
        )

    async def _inventory(self) -> Inventory:
        cards = await self.source.list_accelerators()
        return Inventory(accelerators=cards, lost=frozenset(), demo=True)

    def _changed(self) -> None:
        self.changes += 1


@contextmanager
def node(tmp_path: Path, gpus: int = 3) -> Iterator[Site]:
    site = Site(tmp_path / "agent.db", gpus)
    try:
        yield site
    finally:
        site.store.close()


def _close_usage(db: Db) -> None:
    db.write("UPDATE run SET closed = 1 WHERE finished_at_ms IS NOT NULL", {})

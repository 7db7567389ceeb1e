"""The agent killed by SIGKILL, containers killed behind its back: on a real engine."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from agent.accelerators.queries import list_claims
from agent.allocations import queries
from agent.allocations.run import Run
from agent.drivers.docker_request import LABEL_ALLOCATION, LABEL_NODE, engine_ms
from agent.store.database import open_for_reading
from protocol.desired import DesiredAllocation
from protocol.manifest import Manifest
from protocol.wire import encode
from tests.fakes.orders import fresh_id, order, orders
from tests.services.containers import labelled_node

pytestmark = pytest.mark.docker


@pytest.mark.parametrize("point", ["create-", "create+", "start-", "start+"])
def test_an_agent_killed_on_the_way_up_leaves_one_container(node: "Node", point: str) -> None:
    node.want(node.service())
    assert node.run_pass(point).returncode == -signal.SIGKILL

    node.run_pass()

    (container,) = node.containers()
    run = node.run()
    assert container["State"]["Running"]
    assert (run.phase, run.container_id) == ("running", container["Id"])
    assert run.started_at_ms == run.ready_at_ms == engine_ms(container["State"]["StartedAt"])
    assert node.claims() == {run.accelerators[0]: run.allocation_id}


def test_an_agent_that_comes_back_adopts_the_same_container(node: "Node") -> None:
    node.want(node.service())
    node.run_pass()
    before, (container,) = node.run(), node.containers()

    node.run_pass()

    after, (same,) = node.run(), node.containers()
    assert same["Id"] == container["Id"]
    assert same["State"] == container["State"]
    assert after.seen_at_ms is not None
    assert before.seen_at_ms is not None
    assert after.seen_at_ms > before.seen_at_ms
    assert (after.started_at_ms, after.ready_at_ms) == (before.started_at_ms, before.ready_at_ms)


def test_a_container_killed_from_outside_ended_when_the_engine_says(node: "Node") -> None:
    node.want(node.service())
    node.run_pass()
    (container,) = node.containers()
    node.client.kill(container["Id"])
    node.client.wait(container["Id"])

    node.run_pass()

    run, (dead,) = node.run(), node.containers()
    assert (run.phase, run.failure, run.exit_code) == ("exited", "exited", 137)
    assert run.finished_at_ms == engine_ms(dead["State"]["FinishedAt"])


def test_a_task_runs_to_its_end(node: "Node") -> None:
    node.want(node.service("sh", "-c", "exit 0", kind="task"))
    node.run_pass()
    (container,) = node.containers()
    node.client.wait(container["Id"])

    node.run_pass()

    run = node.run()
    assert (run.phase, run.failure, run.exit_code) == ("exited", None, 0)


def test_a_release_takes_all_of_it_away(node: "Node") -> None:
    wanted = node.service(accelerators=0)
    node.want(wanted)
    node.run_pass()
    (container,) = node.containers()
    node.want(order(wanted.allocation_id, wanted.manifest, phase="absent", released_at_ms=1))
    node.run_pass()
    node.client.wait(container["Id"])
    node.run_pass()
    node.close_usage()

    node.run_pass()

    assert node.run().phase == "absent"
    assert node.containers() == []
    assert node.client.networks(filters={"label": f"{LABEL_NODE}={node.node_id}"}) == []


def test_a_container_nobody_asked_for_is_kept_and_reported(
    node: "Node", busybox_image: str
) -> None:
    allocation_id = fresh_id("allocation")
    made = node.client.create_container_from_config(
        {
            "Image": busybox_image,
            "Cmd": ["sleep", "600"],
            "Labels": {LABEL_NODE: node.node_id, LABEL_ALLOCATION: allocation_id},
        }
    )
    node.client.start(made["Id"])
    node.want()

    node.run_pass()

    (kept,) = node.containers()
    assert kept["State"]["Running"]
    run = node.run()
    assert (run.allocation_id, run.phase, run.known) == (allocation_id, "running", False)


@pytest.mark.parametrize(
    ("image", "failure"),
    [
        ("nowhere.invalid/acme/work@sha256:" + "0" * 64, "image_not_allowed"),
        ("outstation/busybox:1", "image_unpinned"),
    ],
)
def test_an_image_that_cannot_be_had_fails_by_name(node: "Node", image: str, failure: str) -> None:
    node.want(order(fresh_id("allocation"), Manifest(image=image)))

    node.run_pass()

    assert (node.run().phase, node.run().failure) == ("exited", failure)
    assert node.containers() == []


@dataclass
class Node:
    """A node whose every pass is a process of its own."""

    node_id: str
    image: str
    folder: Path
    client: docker.APIClient

    def service(
        self, *command: str, kind: str = "service", accelerators: int = 1
    ) -> DesiredAllocation:
        manifest = Manifest(
            image=self.image,
            command=command or ("sleep", "600"),
            kind="task" if kind == "task" else "service",
        )
        return order(fresh_id("allocation"), manifest, accelerators=accelerators)

    def want(self, *allocations: DesiredAllocation) -> None:
        (self.folder / "orders.json").write_bytes(encode(orders(allocations)))

    def run_pass(self, point: str = "none") -> "subprocess.CompletedProcess[bytes]":
        arguments = [self.folder / "agent.db", self.node_id, self.folder / "orders.json", point]
        done = subprocess.run(
            [sys.executable, "-m", "tests.agent.drivers.kill_agent", *arguments],
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == (0 if point == "none" else -signal.SIGKILL), done.stderr.decode()
        return done

    def run(self) -> Run:
        db = open_for_reading(self.folder / "agent.db")
        (run,) = queries.list_runs(db)
        db.close()
        return run

    def claims(self) -> dict[str, str]:
        db = open_for_reading(self.folder / "agent.db")
        claims = dict(list_claims(db))
        db.close()
        return claims

    def close_usage(self) -> None:
        """Do as metering does with what has ended."""
        close = "import sys, sqlite3; d = sqlite3.connect(sys.argv[1]);"
        close += "d.execute('UPDATE run SET closed = 1 WHERE finished_at_ms > 0'); d.commit()"
        subprocess.run([sys.executable, "-c", close, self.folder / "agent.db"], check=True)

    def containers(self) -> list[dict[str, object]]:
        listed = self.client.containers(all=True, filters={"label": f"{LABEL_NODE}={self.node_id}"})
        return [self.client.inspect_container(one["Id"]) for one in listed]


@pytest.fixture
def node(busybox_image: str, tmp_path: Path) -> Iterator[Node]:
    client = docker.APIClient(version="auto")
    with labelled_node() as node_id:
        yield Node(node_id, f"outstation/busybox@{busybox_image}", tmp_path, client)
    client.close()

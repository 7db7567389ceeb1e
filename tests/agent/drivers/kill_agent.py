"""Runs passes of the allocations on the real engine, and dies by SIGKILL where it is told to.

    python -m tests.agent.drivers.kill_agent DATABASE NODE_ID ORDERS POINT

POINT names a call of the engine and whether to die before or after it took effect: `create-`,
`create+`, `start-`, `start+`; `none` runs one pass and ends.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from agent.allocations.container_spec import NodePolicy
from agent.allocations.loop import AllocationLoop, Allocations
from agent.allocations.operations import Inventory, Moment
from agent.allocations.runtime import ContainerSpec
from agent.drivers.docker_engine import DockerEngine
from agent.drivers.host import boot_id, boottime_ms
from agent.drivers.simulated import SimulatedAccelerators
from agent.leases.operations import replace_leases
from agent.store.thread import Store
from protocol.desired import DesiredState
from protocol.lease import Lease
from protocol.wire import decode
from tests.fakes.notices import KeptNotices
from tests.fakes.orders import TENANT
from tests.fakes.runtime import FakeGuard


class DyingEngine(DockerEngine):
    """The real driver, in an agent that is killed at one of its calls."""

    def __init__(self, *, node_id: str, point: str) -> None:
        super().__init__(node_id=node_id)
        self._point = point

    async def create(self, spec: ContainerSpec) -> str:
        self._die_at("create-")
        container_id = await super().create(spec)
        self._die_at("create+")
        return container_id

    async def start(self, container_id: str, spec: ContainerSpec) -> None:
        self._die_at("start-")
        await super().start(container_id, spec)
        self._die_at("start+")

    def _die_at(self, point: str) -> None:
        if point == self._point:
            os.kill(os.getpid(), signal.SIGKILL)


def needs(store: Store, engine: DockerEngine, node_id: str, desired: DesiredState) -> Allocations:
    """Return a node with one simulated GPU, a guard that holds and the machine's own clocks."""
    source = SimulatedAccelerators(
        node=node_id, count=1, model="Simulated GPU", memory_mib=1, seed=1, boottime=boottime_ms
    )

    async def inventory() -> Inventory:
        return Inventory(await source.list_accelerators(), lost=frozenset(), demo=True)

    return Allocations(
        store=store,
        runtime=engine,
        guard=FakeGuard(),
        desired=lambda _: desired,
        paces=lambda _: {},
        notices=KeptNotices(),
        inventory=inventory,
        policy=NodePolicy(node_id=node_id, demo=True),
        moment=lambda: Moment(time.time_ns() // 1_000_000, boot_id(), boottime_ms()),
        on_change=lambda: None,
    )


def main(arguments: Sequence[str]) -> None:
    """Run one pass and print its report."""
    database, node_id, orders, point = arguments
    desired = decode(Path(orders).read_bytes(), DesiredState)
    lease = Lease(lease_id=1, tenant_id=TENANT, amount=10**9, expires_in_ms=10**9)
    with Store(Path(database)) as store:
        store.run_now(replace_leases, [lease], sent_boot_ms=boottime_ms(), boot_id=boot_id())
        engine = DyingEngine(node_id=node_id, point=point)
        report = asyncio.run(AllocationLoop(needs(store, engine, node_id, desired))())
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1:])

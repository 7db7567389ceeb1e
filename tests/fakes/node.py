"""A node for the tests of the allocations: a real store, and an engine and clock in memory."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.accelerators.queries import list_claims
from agent.allocations import queries
from agent.allocations.container_spec import NodePolicy
from agent.allocations.loop import AllocationLoop, Allocations
from agent.allocations.operations import Inventory, Moment
from agent.allocations.run import Run
from agent.allocations.runtime import Container
from agent.drivers.simulated import SimulatedAccelerators
from agent.leases.operations import replace_leases
from agent.store.database import Db
from agent.store.thread import Store
from protocol.desired import DesiredAllocation, DesiredState
from protocol.lease import Lease
from tests.fakes.notices import KeptNotices
from tests.fakes.orders import TENANT, orders
from tests.fakes.runtime import FakeEngine, FakeGuard


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


class Site:
    """A node with a real store, and an engine, guard and clock of its own."""

    def __init__(self, path: Path, gpus: int) -> None:
        self.path = path
        self.engine = FakeEngine()
        self.guard = FakeGuard()
        self.boot_id = "boot-1"
        self.changes = 0
        self.skew_ms = 0
        self.desired: DesiredState | None = None
        self.paces: dict[str, int] = {}
        self.notices = KeptNotices()
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

    def grant(self, amount: int = 10**9) -> None:
        lease = Lease(lease_id=1, tenant_id=TENANT, amount=amount, expires_in_ms=10**12)
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
            paces=lambda _: self.paces,
            notices=self.notices,
            inventory=self._inventory,
            policy=NodePolicy(node_id="n_node", demo=True),
            moment=lambda: Moment(
                self.now_ms + self.skew_ms, self.boot_id, self.now_ms, wall_ms=self.now_ms
            ),
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

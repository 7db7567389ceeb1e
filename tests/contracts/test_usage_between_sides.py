"""Whatever a node goes through, the registry takes every entry that its metering writes."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.usage_log.operations import verify_log
from protocol.lease import Lease
from protocol.refusal import Refusal
from protocol.usage import GPU_MS, LeaseClosed, Use, entry_bytes
from registry.rating.price_book import PriceBook
from registry.usage.acceptance import accept
from registry.usage.entries import read_entries
from registry.usage.log_state import LeaseStanding, OwnerFact, Standing
from registry.usage.tally import Tally
from tests.agent.metering.rig import CALLS, PRICE, TOKENS, Node, finished_call
from tests.fakes.agent_store import migrated

HOUR_MS = 3_600_000
GPUS = ("GPU-1", "GPU-2")
LEASE_MICROS = 700


class Life:
    """A node whose allocations come and go while leases, clocks and ticks do as they like."""

    def __init__(self, node: Node, chance: random.Random) -> None:
        self.node, self.chance = node, chance
        self.leases: list[Lease] = []
        self.owners: dict[str, OwnerFact] = {"k_1": OwnerFact(tenant_id="t_1", project_id="p_1")}
        self.steps = (
            self.passes,
            self.passes,
            self.sleeps,
            self.granted,
            self.begins,
            self.ends,
            self.released,
            self.begins_again,
            self.called,
        )

    def step(self) -> None:
        self.chance.choice(self.steps)()
        if self.chance.random() < 0.6:
            self.node.tick(heartbeat=self.chance.random() < 0.2)

    def passes(self) -> None:
        self.node.passed(self.chance.choice([0, 1, 500, 60_000, 400_000, HOUR_MS]))
        for run in self.runs("phase = 'running'"):
            self.node.seen(run)

    def sleeps(self) -> None:
        self.node.slept(self.chance.randint(0, 2 * HOUR_MS))

    def granted(self) -> None:
        if self.chance.random() < 0.5:
            lease_id = len(self.leases) + 1
            self.leases.append(Lease(lease_id, "t_1", LEASE_MICROS, 2 * HOUR_MS))
        self.node.grant(*self.leases[-2:])

    def begins(self) -> None:
        held = {run[-1] for run in self.runs("closed = 0")}
        free = [gpu for gpu in GPUS if gpu[-1] not in held]
        if free:
            gpu = self.chance.choice(free)
            allocation_id = f"a_{len(self.owners)}_{gpu[-1]}"
            self.owners[allocation_id] = OwnerFact("t_1", "p_1", "sim.1x", 1)
            self.node.run(allocation_id, gpus=f'["{gpu}"]')

    def ends(self) -> None:
        for run in self.runs("phase = 'running'")[:1]:
            late_ms = self.chance.choice([-5_000, 0, 172_800_000])
            self.node.change(
                "finished_at_ms = :at, phase = 'exited'", run, at=self.node.now_ms + late_ms
            )

    def released(self) -> None:
        for run in self.runs("phase = 'running'")[-1:]:
            self.node.change("released_at_ms = :at, phase = 'stopping'", run, at=self.node.now_ms)
            self.node.passed(2_000)
            self.node.change("finished_at_ms = :at, phase = 'absent'", run, at=self.node.now_ms)

    def begins_again(self) -> None:
        held = {run[-1] for run in self.runs("closed = 0")}
        for run in self.runs("phase = 'exited' AND closed = 1"):
            if run[-1] not in held:
                self.node.change(
                    "attempt = attempt + 1, phase = 'running', closed = 0, metered_to_ms = NULL, "
                    "finished_at_ms = NULL, ready_at_ms = :at, seen_at_ms = :at",
                    run,
                    at=self.node.now_ms,
                )
                return

    def called(self) -> None:
        try:
            tokens = self.chance.randint(0, 50)
            call_id = f"c_{self.chance.random()}"
            finished_call(self.node, call_id, tokens_out=tokens, micros=tokens)
        except Refusal:
            return
        self.node.passed(self.chance.choice([1, 1_000, 61_000]))

    def runs(self, where: str) -> list[str]:
        rows = self.node.db.rows(f"SELECT allocation_id FROM run WHERE {where} ORDER BY 1", {})
        return [row["allocation_id"] for row in rows]


@given(st.integers(0, 2**32))
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_registry_takes_every_entry_of_any_life(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    with migrated(tmp_path_factory.mktemp("life")) as db:
        node = Node(db)
        life = Life(node, random.Random(seed))
        for _ in range(40):
            life.step()
        node.tick()
        entries = node.entries()
        tally = Tally(PriceBook([PRICE, TOKENS, CALLS]), site_id="s_1", share_basis_points=0)
        standing = Standing(
            owners=life.owners,
            leases={
                lease.lease_id: LeaseStanding("t_1", "n_1", lease.amount, 0, "open")
                for lease in life.leases
            },
        )

        accept(
            read_entries([entry_bytes(entry) for entry in entries], first_index=0),
            node_id="n_1",
            standing=standing,
            tally=tally,
            now_ms=node.now_ms,
        )

        assert verify_log(db, None).fault is None
        for lease in standing.leases.values():
            assert lease.settled <= lease.amount
        closings = [entry for entry in entries if isinstance(entry, LeaseClosed)]
        assert len({closed.lease_id for closed in closings}) == len(closings)
        for gpu in GPUS:
            billed_ms = sum(
                entry.quantity
                for entry in entries
                if isinstance(entry, Use)
                and entry.meter == GPU_MS
                and entry.allocation_id[-1] == gpu[-1]
            )
            assert billed_ms <= node.boot_ms

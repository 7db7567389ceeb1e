"""A node's database under metering, with clocks that a test turns."""

from dataclasses import dataclass

from agent.leases.operations import replace_leases, reserve, settle
from agent.metering.operations import Tick, Ticked, tick
from agent.metering.timekeeper import TimeState
from agent.store.database import Db
from agent.usage_log.queries import each_entry
from protocol.lease import Lease
from protocol.price import Price
from protocol.usage import Entry, Use, read_entry
from tests.fakes.agent_store import BEGIN_MS

TICK_MS = 60_000
PRICE = Price(sku="sim.1x", meter="gpu.ms", version=1, num=1, den=1_000, effective_at_ms=0)
"""60 micros a minute for one GPU."""

TOKENS = Price(sku="demo-echo", meter="tok.out", version=1, num=1, den=1, effective_at_ms=0)
CALLS = Price(sku="demo-echo", meter="req", version=1, num=0, den=1, effective_at_ms=0)


@dataclass
class Node:
    """A node's database with clocks that a test turns."""

    db: Db
    boot_ms: int = 0
    asleep_ms: int = 0
    boot_id: str = "boot1"
    started_ms: int = BEGIN_MS
    trusted: bool = True

    @property
    def now_ms(self) -> int:
        return self.started_ms + self.boot_ms

    def passed(self, ms: int) -> "Node":
        self.boot_ms += ms
        return self

    def slept(self, ms: int) -> "Node":
        self.asleep_ms += ms
        return self.passed(ms)

    def tick(self, *, heartbeat: bool = False) -> Ticked:
        time = TimeState(self.boot_id, self.started_ms, 0, 0, self.trusted)
        moment = Tick(
            time=time,
            now_ms=self.now_ms,
            boot_ms=self.boot_ms,
            running_ms=self.boot_ms - self.asleep_ms,
            period_ms=TICK_MS,
            heartbeat=heartbeat,
            skew_ms=0,
        )
        with self.db.unit():
            return tick(self.db, moment, [PRICE, TOKENS, CALLS])

    def grant(self, *leases: Lease) -> None:
        with self.db.unit():
            replace_leases(self.db, leases, sent_boot_ms=self.boot_ms, boot_id=self.boot_id)

    def run(self, allocation_id: str = "a_1", *, gpus: str = '["GPU-1"]') -> None:
        with self.db.unit():
            insert_run(
                self.db, allocation_id, gpus=gpus, boot_id=self.boot_id, ready_at_ms=self.now_ms
            )

    def change(self, assignments: str, allocation_id: str = "a_1", **values: int | str) -> None:
        with self.db.unit():
            changed = self.db.write(
                f"UPDATE run SET {assignments} WHERE allocation_id = :id",
                {"id": allocation_id} | values,
            )
            assert changed == 1

    def seen(self, allocation_id: str = "a_1") -> "Node":
        self.change("seen_at_ms = :now", allocation_id, now=self.now_ms)
        return self

    def entries(self) -> list[Entry]:
        return [read_entry(stored.entry) for stored in each_entry(self.db, 0)]

    def uses(self) -> list[Use]:
        return [entry for entry in self.entries() if isinstance(entry, Use)]

    def billed_ms(self) -> int:
        return sum(use.quantity for use in self.uses())


def finished_call(node: Node, call_id: str, *, tokens_out: int, micros: int) -> None:
    with node.db.unit():
        lease = reserve(
            node.db,
            call_id,
            tenant_id="t_1",
            worst=micros,
            boot_id=node.boot_id,
            boot_ms=node.boot_ms,
        )
        settle(node.db, call_id, actual=micros)
        node.db.write(
            """
            INSERT INTO call (call_id, key_id, tenant_id, project_id, model, endpoint, lease_id,
                              worst, tokens_out, requests, micros, started_at_ms, finished_at_ms,
                              state)
            VALUES (:call_id, 'k_1', 't_1', 'p_1', 'demo-echo', 'chat', :lease_id, :micros,
                    :tokens_out, 1, :micros, :now, :now, 'closed')
            """,
            {
                "call_id": call_id,
                "lease_id": lease.lease_id,
                "micros": micros,
                "tokens_out": tokens_out,
                "now": node.now_ms,
            },
        )


def insert_run(db: Db, allocation_id: str, *, gpus: str, boot_id: str, ready_at_ms: int) -> None:
    """A run that has just become ready."""
    db.write(
        """
        INSERT INTO run (
            allocation_id, tenant_id, project_id, sku, kind, known, attempt, generation, phase,
            since_ms, detail, requested_at_ms, accelerators, spec_hash, container_id, address,
            boot_id, ready_at_ms, seen_at_ms
        )
        VALUES (:id, 't_1', 'p_1', 'sim.1x', 'service', 1, 1, 1, 'running', 0, '', 0, :gpus, '',
                'c1', '', :boot_id, :now, :now)
        """,
        {"id": allocation_id, "gpus": gpus, "boot_id": boot_id, "now": ready_at_ms},
    )

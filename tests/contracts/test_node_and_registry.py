"""The node's core against the registry itself over HTTP: enrolment, leases, usage, outages.

Everything between the container engine and the ledger is the shipped code; runs are put into the
node's database as its allocations room would.
"""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from agent.leases.gate import Verdict
from agent.leases.operations import list_verdicts
from agent.leases.queries import list_lease_spend
from agent.metering.loop import Metering
from agent.metering.timekeeper import NodeClock, TimeState
from agent.store.database import Db
from agent.store.thread import Store
from agent.sync.client import RegistryClient
from agent.sync.exchange import Observed
from agent.sync.loop import SyncLoop, Uplink, enrol
from agent.sync.operations import stored_desired, stored_key_set
from agent.usage_log.operations import verify_log
from agent.usage_log.queries import get_log
from protocol.checkpoint import signed_checkpoint
from protocol.desired import DesiredAllocation
from protocol.enrolment import EnrolRequest
from protocol.observed import AcceleratorFact, HostFacts, ObservedAllocation
from protocol.price import Price
from protocol.refusal import Refusal
from protocol.signing import key_id, new_signing_key, public_bytes
from registry.ledger.operations import verify
from registry.ledger.queries import get_balance
from registry.nodes.enrolment import NodeFacts
from registry.nodes.operations import add_node, issue_secret
from registry.server.settings import EXTENSION, Settings
from registry.usage.queries import cost_by_owner, find_latest_log
from tests.registry.marketplace import (
    GPU_MODEL,
    HOURLY,
    MODEL,
    OPERATOR,
    SKU,
    Marketplace,
    opened_market,
)
from tests.registry.rig import Rig, running
from tests.services.databases import Databases

KEY = new_signing_key(bytes(range(100, 132)))
HOST = HostFacts("edge-1", 4, 16_384, 100_000, "docker 20.10", "6.1")
CARD = AcceleratorFact("GPU-edge-1", GPU_MODEL, 81_920, simulated=True, healthy=True)
BOOT_ID = "boot-1"
TICK_MS = 60_000


@dataclass
class Edge:
    """A node's store with its loops, next to a registry that listens; one clock for both."""

    path: Path
    market: Marketplace
    url: str
    boot_ms: int = 0
    store: Store = field(init=False)
    clock: NodeClock = field(init=False)
    client: RegistryClient = field(init=False)
    sync_loop: SyncLoop = field(init=False)
    metering: Metering = field(init=False)
    nonces: Iterator[int] = field(default_factory=itertools.count)
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    node_id: str = ""
    secret: str = ""

    def __post_init__(self) -> None:
        self.start()

    @property
    def rig(self) -> Rig:
        return self.market.rig

    def start(self) -> None:
        self.store = Store(self.path)
        self.clock_begins(at_ms=self.rig.clock(), trusted=True)

    def clock_begins(self, *, at_ms: int, trusted: bool) -> None:
        """Read the machine's clock anew, and build what goes by it."""
        self.clock = clock = NodeClock(
            TimeState(BOOT_ID, at_ms, self.boot_ms, 0, trusted),
            boottime=lambda: self.boot_ms,
            floor_ms=0,
        )
        self.metering = Metering(
            self.store,
            clock,
            running=lambda: self.boot_ms,
            period_ms=TICK_MS,
            heartbeat_ms=5 * TICK_MS,
            prices=_prices,
            skew=lambda: 0,
            on_uncovered=lambda: None,
        )
        self.sync_loop = SyncLoop(self.uplink())

    def restart(self) -> None:
        self.runner.run(self.client.close())
        self.store.close()
        self.start()

    def uplink(self) -> Uplink:
        self.client = RegistryClient(
            self.url,
            KEY,
            new_nonce=lambda: f"nonce-of-call-{next(self.nonces):06d}",
            agent_version="0.1.0",
        )
        return Uplink(
            store=self.store,
            registry=self.client,
            clock=self.clock,
            wall=self.rig.clock,
            boot_id=BOOT_ID,
            sign=lambda checkpoint: signed_checkpoint(checkpoint, KEY),
            observe=self.observe,
            on_taken=lambda _: None,
            chance=lambda: 0,
            agent_version="0.1.0",
        )

    async def observe(self) -> Observed:
        rows = self.store.run_now(lambda db: db.rows("SELECT * FROM run", {}))
        seen = tuple(
            ObservedAllocation(
                allocation_id=row["allocation_id"],
                phase=row["phase"],
                since_ms=row["ready_at_ms"],
                container_id=row["container_id"],
                ready_at_ms=row["ready_at_ms"],
                finished_at_ms=row["finished_at_ms"],
                accelerators=(CARD.uuid,),
            )
            for row in rows
        )
        return Observed("http://10.0.0.9:8090", HOST, (CARD,), seen, (), ())

    def enrols(self, secret: str) -> None:
        request = EnrolRequest(
            secret=secret,
            public_key=public_bytes(KEY).hex(),
            agent_version="0.1.0",
            protocol=1,
            boot_id=BOOT_ID,
            gateway_url="http://10.0.0.9:8090",
            host=HOST,
            accelerators=(CARD,),
        )
        self.runner.run(enrol(self.store, self.client, request, now_ms=self.rig.clock()))

    def syncs(self) -> str:
        return self.runner.run(self.sync_loop())

    def ticks(self) -> str:
        return self.runner.run(self.metering())

    def passes(self, ms: int) -> None:
        """Let time pass on both sides, with the container seen running at its end."""
        self.boot_ms += ms
        self.rig.clock.forward(ms)
        self.store.run_now(
            lambda db: db.write(
                "UPDATE run SET seen_at_ms = :now WHERE finished_at_ms IS NULL",
                {"now": self.rig.clock()},
            )
        )

    def runs(self) -> DesiredAllocation:
        """Bring up what is desired, as the allocations room would."""
        state = self.store.run_now(stored_desired)
        assert state is not None
        (wanted,) = state.allocations
        self.store.run_now(_insert_run, wanted, now_ms=self.rig.clock())
        return wanted

    def verdict(self, tenant_id: str) -> Verdict:
        return self.store.run_now(
            list_verdicts, [tenant_id], boot_id=BOOT_ID, boot_ms=self.boot_ms
        )[tenant_id]

    def ends(self) -> None:
        self.store.run_now(
            lambda db: db.write(
                "UPDATE run SET finished_at_ms = :now, phase = 'exited', failure = 'exited'",
                {"now": self.rig.clock()},
            )
        )

    def close(self) -> None:
        self.runner.run(self.client.close())
        self.runner.close()
        self.store.close()


def test_usage_becomes_money_once_through_outages_and_restarts(edge: Edge) -> None:
    customer = edge.market.customer(micros=50_000_000)
    assert edge.syncs() == "answered"
    allocation_id = customer.launched()
    assert edge.syncs() == "answered"
    wanted = edge.runs()
    assert wanted.allocation_id == allocation_id
    assert [spend.closed for spend in edge.store.run_now(list_lease_spend)] == [False]

    for minute in range(1, 31):
        edge.passes(TICK_MS)
        edge.ticks()
        if minute % 7 == 0:
            edge.restart()
        if minute < 10 or minute > 20:
            assert edge.syncs() == "answered"
    edge.passes(30_000)
    edge.ends()
    edge.ticks()
    edge.syncs()

    with edge.rig.database.unit() as db:
        assert verify(db).problems == ()
        assert cost_by_owner(db, [allocation_id]) == {allocation_id: 30 * TICK_MS + 30_000}
        log = find_latest_log(db, edge.node_id)
        assert log is not None
        assert log.frontier == edge.store.run_now(get_log).frontier
    assert edge.store.run_now(verify_log, None).fault is None
    assert edge.store.run_now(get_log).accepted.size == log.size


def test_work_is_told_to_stop_before_it_costs_more_than_there_is(edge: Edge) -> None:
    customer = edge.market.customer(micros=HOURLY + HOURLY // 10)
    edge.syncs()
    customer.launched()
    edge.syncs()
    wanted = edge.runs()
    minutes = 0
    while edge.verdict(wanted.tenant_id).may_continue:
        minutes += 1
        assert minutes <= 66
        edge.passes(TICK_MS)
        edge.ticks()
        if minutes % 4 == 0:
            edge.syncs()
    edge.passes(10_000)
    edge.ends()
    edge.ticks()
    edge.syncs()

    with edge.rig.database.unit() as db:
        assert verify(db).problems == ()
        balance = get_balance(db, customer.tenant_id)
        assert 0 <= balance.total <= HOURLY // 10
    assert minutes >= 60


def test_a_key_set_and_desired_state_are_held_as_signed(edge: Edge) -> None:
    customer = edge.market.customer()
    customer.api()
    edge.syncs()
    allocation_id = customer.launched()

    edge.syncs()

    keys, state = edge.store.run_now(stored_key_set), edge.store.run_now(stored_desired)
    assert keys is not None
    assert state is not None
    assert [key.tenant_id for key in keys.keys] == [customer.tenant_id]
    assert [one.allocation_id for one in state.allocations] == [allocation_id]
    assert {price.sku for price in state.prices} >= {SKU, MODEL}


def test_an_enrolment_secret_serves_one_key_and_is_named_when_wrong(edge: Edge) -> None:
    edge.enrols(edge.secret)

    with pytest.raises(Refusal) as refused:
        edge.enrols(f"nk_{'0' * 52}_{edge.secret[-16:]}")

    assert (refused.value.code, refused.value.status) == ("secret_invalid", 401)
    assert refused.value.hint


def test_a_node_whose_clock_is_dead_hears_the_time_and_is_answered(edge: Edge) -> None:
    edge.clock_begins(at_ms=1_577_836_800_000, trusted=False)

    assert edge.syncs() == "answered"

    assert edge.clock.trusted
    assert abs(edge.clock.now_ms() - edge.rig.clock()) <= 1_000


def test_a_registry_that_does_not_listen_is_silence(edge: Edge) -> None:
    edge.url = "http://127.0.0.1:9"
    edge.restart()

    assert "silent" in edge.syncs()


@pytest.fixture
def edge(databases: Databases, tmp_path: Path) -> Iterator[Edge]:
    with running(databases, tmp_path, demo=True) as rig:
        market = opened_market(rig)
        rig.clock.forward(120_000)
        rig.app.config["TRUSTED_HOSTS"] = None
        server = make_server("127.0.0.1", 0, rig.app, threaded=False)
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        edge = Edge(tmp_path / "agent.db", market, f"http://127.0.0.1:{server.server_port}")
        try:
            edge.node_id, edge.secret = _new_node(market)
            edge.enrols(edge.secret)
            yield edge
        finally:
            edge.close()
            server.shutdown()
            serving.join()
            server.server_close()


def _new_node(market: Marketplace) -> tuple[str, str]:
    """Another node at the market's site, which is the only one that is heard of."""
    rig = market.rig
    settings: Settings = rig.app.extensions[EXTENSION]
    with rig.database.unit() as db:
        node_id = add_node(
            db,
            NodeFacts("edge-1", "rack-2", GPU_MODEL, 1, 800, 4),
            site_id=market.site_id,
            actor=OPERATOR,
            now_ms=rig.clock(),
            new_id=rig.new_id,
        )
        _, secret = issue_secret(
            db,
            node_id,
            registry_key_id=key_id(public_bytes(settings.key)),
            actor=OPERATOR,
            now_ms=rig.clock(),
            new_id=rig.new_id,
            entropy=rig.entropy,
        )
    return node_id, secret


def _insert_run(db: Db, wanted: DesiredAllocation, *, now_ms: int) -> None:
    db.write(
        """
        INSERT INTO run (
            allocation_id, tenant_id, project_id, sku, kind, known, attempt, generation, phase,
            since_ms, detail, requested_at_ms, accelerators, spec_hash, container_id, address,
            boot_id, ready_at_ms, seen_at_ms
        )
        VALUES (:allocation_id, :tenant_id, :project_id, :sku, 'service', 1, 1, 1, 'running', 0,
                '', 0, :accelerators, '', 'c0ffee', '', :boot_id, :now, :now)
        """,
        {
            "allocation_id": wanted.allocation_id,
            "tenant_id": wanted.tenant_id,
            "project_id": wanted.project_id,
            "sku": wanted.sku,
            "accelerators": f'["{CARD.uuid}"]',
            "boot_id": BOOT_ID,
            "now": now_ms,
        },
    )


def _prices(db: Db) -> tuple[Price, ...]:
    state = stored_desired(db)
    return state.prices if state is not None else ()

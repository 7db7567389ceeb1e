"""A node's core next to a registry that listens.

Everything between the container engine and the ledger is the shipped code; runs are put into the
node's database as its allocations room would.
"""

import asyncio
import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from werkzeug.serving import make_server

from agent.leases.gate import Verdict
from agent.leases.operations import list_verdicts
from agent.metering.loop import Metering
from agent.metering.timekeeper import NodeClock, TimeState
from agent.store.database import Db
from agent.store.thread import Store
from agent.sync.client import RegistryClient
from agent.sync.exchange import Observed, RegistrySilent
from agent.sync.loop import SyncLoop, Uplink, enrol
from agent.sync.operations import stored_desired
from agent.sync.signer import Signer
from protocol.desired import DesiredAllocation
from protocol.enrolment import EnrolAnswer, EnrolRequest
from protocol.observed import AcceleratorFact, HostFacts, ObservedAllocation
from protocol.price import Price
from protocol.signing import key_id, new_signing_key, public_bytes
from protocol.sync import LogPull, LogPulled, SyncAnswer, SyncRequest
from registry.nodes.enrolment import NodeFacts
from registry.nodes.operations import add_node, issue_secret
from registry.server.settings import EXTENSION, Settings
from tests.fakes.node_keys import KeptKeys
from tests.registry.marketplace import (
    GPU_MODEL,
    OPERATOR,
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


class LosingLine:
    """The registry over a line that loses answers when told to."""

    def __init__(self, client: RegistryClient) -> None:
        self._client = client
        self.loses = False

    async def sync(
        self, request: SyncRequest, *, trusted: Mapping[str, bytes], now_ms: int
    ) -> tuple[SyncAnswer, str]:
        answer = await self._client.sync(request, trusted=trusted, now_ms=now_ms)
        if self.loses:
            raise RegistrySilent("the answer got lost")
        return answer

    async def pull(self, asked: LogPull, *, trusted: Mapping[str, bytes], now_ms: int) -> LogPulled:
        return await self._client.pull(asked, trusted=trusted, now_ms=now_ms)

    async def enrol(self, request: EnrolRequest, *, now_ms: int) -> EnrolAnswer:
        return await self._client.enrol(request, now_ms=now_ms)


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
    line: LosingLine = field(init=False)
    sync_loop: SyncLoop = field(init=False)
    metering: Metering = field(init=False)
    keys: KeptKeys = field(default_factory=lambda: KeptKeys(KEY))
    signer: Signer = field(init=False)
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
        self.signer = Signer(self.keys)
        self.client = RegistryClient(
            self.url,
            self.signer.calls,
            new_nonce=lambda: f"nonce-of-call-{next(self.nonces):06d}",
            agent_version="0.1.0",
        )
        self.line = LosingLine(self.client)
        return Uplink(
            store=self.store,
            registry=self.line,
            clock=self.clock,
            wall=self.rig.clock,
            boot_id=BOOT_ID,
            keys=self.signer,
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

    def loses_its_disk(self) -> None:
        """Begin on an empty disk, with another key and a secret that an operator has made."""
        self.runner.run(self.client.close())
        self.store.close()
        self.path = self.path.with_name(f"after-{self.path.name}")
        self.keys = KeptKeys(new_signing_key(bytes(range(164, 196))))
        self.start()
        self.secret = new_secret(self.market, self.node_id)
        self.enrols(self.secret)

    def puts_back(self, copy: bytes) -> None:
        """Put an old copy of the database back."""
        self.store.close()
        for path in self.path.parent.glob(f"{self.path.name}*"):
            path.unlink()
        self.path.write_bytes(copy)
        self.runner.run(self.client.close())
        self.start()

    def copied(self) -> bytes:
        """A copy of the database as it is."""
        self.runner.run(self.client.close())
        self.store.close()
        copy = self.path.read_bytes()
        self.start()
        return copy

    def enrols(self, secret: str) -> None:
        request = EnrolRequest(
            secret=secret,
            public_key=public_bytes(self.keys.current).hex(),
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


@contextmanager
def edge_of(databases: Databases, tmp_path: Path) -> Iterator[Edge]:
    """An enrolled node next to its registry."""
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
    with rig.database.unit() as db:
        node_id = add_node(
            db,
            NodeFacts("edge-1", "rack-2", GPU_MODEL, 1, 800, 4),
            site_id=market.site_id,
            actor=OPERATOR,
            now_ms=rig.clock(),
            new_id=rig.new_id,
        )
    return node_id, new_secret(market, node_id)


def new_secret(market: Marketplace, node_id: str) -> str:
    """An enrolment secret for a node."""
    rig = market.rig
    settings: Settings = rig.app.extensions[EXTENSION]
    with rig.database.unit() as db:
        _, secret = issue_secret(
            db,
            node_id,
            registry_key_id=key_id(public_bytes(settings.key)),
            actor=OPERATOR,
            now_ms=rig.clock(),
            new_id=rig.new_id,
            entropy=rig.entropy,
        )
    return secret


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

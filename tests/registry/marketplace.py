"""A registry with something to sell: a host's site with one node online, a customer with money.

The node is no program: `Marketplace.node_says` tells the registry what one would, and
`Marketplace.uses` lets it record and deliver usage that is really signed and verified.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import update
from werkzeug.test import TestResponse

from protocol.checkpoint import log_origin
from protocol.clock import MINUTE_MS
from protocol.manifest import Manifest
from protocol.observed import AcceleratorFact, ObservedAllocation, Phase, ServedModel
from protocol.signing import key_id, public_bytes
from protocol.usage import GPU_MS, TOKENS_OUT, Entry, Opened, Use
from registry.allocations.operations import observe
from registry.allocations.queries import find_allocation
from registry.apps.operations import publish
from registry.catalogue.operations import load_catalogue
from registry.catalogue.queries import list_prices
from registry.catalogue.sku import read_catalogue
from registry.gateway.operations import record_models
from registry.leases.operations import grant_first
from registry.leases.operations import surroundings as surroundings_of
from registry.leases.queries import list_open
from registry.ledger.operations import add_funds
from registry.market.operations import open_site
from registry.nodes.enrolment import NodeFacts
from registry.nodes.operations import add_node
from registry.nodes.queries import keep_accelerators
from registry.server.settings import EXTENSION, Settings
from registry.sites.operations import add_site
from registry.sites.site import SiteFacts
from registry.store.database import Db
from registry.store.tables.nodes import node
from registry.sync.operations import list_owners
from registry.tenants.roles import SignedIn
from registry.usage.log_state import LogIdentity
from registry.usage.operations import ingest
from tests.registry.recording import Recorder
from tests.registry.rig import BASE_URL, Browser, Rig

SKU = "sim-h100.1x"
MODEL = "demo-echo"
GPU_MODEL = "Simulated H100 80GB"
HOURLY = 3_600_000
IMAGE = f"busybox@sha256:{'ab' * 32}"
APP_IMAGE = f"demo-echo@sha256:{'cd' * 32}"
CATALOGUE = f"""
[[sku]]
id = "{SKU}"
class = "gpu"
name = "Simulated H100"
accelerator_model = "{GPU_MODEL}"
accelerator_count = 1
accelerator_memory_mib = 81920
cpu_milli = 4000
memory_mib = 16384
disk_mib = 20480
power_w = 700
simulated = true
price = [{{ meter = "gpu.ms", micros = 1, per = 1 }}]

[[sku]]
id = "{MODEL}"
class = "model"
name = "Demo echo"
price = [
    {{ meter = "tok.in", micros = 1, per = 10 }},
    {{ meter = "tok.out", micros = 2, per = 10 }},
]
""".encode()
OPERATOR = SignedIn(
    person_id="u_operator",
    api_key_id=None,
    email="operator (console)",
    tenant_id=None,
    project_id=None,
    roles=frozenset(),
    is_platform_admin=True,
)


@dataclass(slots=True)
class Marketplace:
    """A host's node for sale, and customers."""

    rig: Rig
    host: Browser
    node_id: str
    site_id: str
    node_key: Ed25519PrivateKey = field(
        default_factory=lambda: Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    )
    recorder: Recorder | None = None
    opened: set[str] = field(default_factory=set)

    def customer(self, email: str = "ana@umoja.example", *, micros: int = 50_000_000) -> "Customer":
        """The owner of an organization with so much money."""
        customer = Customer(self, self.rig.member(email, intent="use"), email)
        if micros:
            self.fund(customer.tenant_id, micros)
        return customer

    def fund(self, tenant_id: str, *amounts: int, src: str = "bank") -> None:
        """Note payments, each an entry of its own, in one unit of work."""
        with self.rig.database.unit() as db:
            for micros in amounts:
                add_funds(
                    db,
                    tenant_id,
                    src=f"{src}:{self.rig.new_id('journal')}",
                    micros=micros,
                    memo="Bank transfer",
                    now_ms=self.rig.clock(),
                )

    def online(self, node_id: str | None = None) -> None:
        """The node is heard of now."""
        with self.rig.database.unit() as db:
            db.write(
                update(node)
                .where(node.c.node_id == (node_id or self.node_id))
                .values(last_contact_at_ms=self.rig.clock())
            )

    def node_says(
        self,
        allocation_id: str,
        phase: Phase,
        *,
        ready_at_ms: int | None = None,
        failure: str | None = None,
        detail: str = "",
        exit_code: int | None = None,
    ) -> None:
        """The node reports a phase of an allocation."""
        seen = ObservedAllocation(
            allocation_id=allocation_id,
            phase=phase,
            since_ms=self.rig.clock(),
            detail=detail,
            container_id="c0ffee0123456789",
            ready_at_ms=ready_at_ms,
            exit_code=exit_code,
            failure=failure,
            accelerators=(uuid_of(0),),
        )
        with self.rig.database.unit() as db:
            observe(db, self.node_id, [seen], now_ms=self.rig.clock())
        self.online()

    def runs(self, allocation_id: str) -> None:
        """The node brings the allocation up."""
        for phase in ("pulling", "starting", "probing"):
            self.node_says(allocation_id, phase)  # type: ignore[arg-type]  # one of the literals
            self.rig.clock.forward(1_000)
        self.node_says(allocation_id, "running", ready_at_ms=self.rig.clock())

    def uses(self, allocation_id: str, minutes: int) -> None:
        """The node records and delivers so many minutes of the allocation, from now on."""
        with self.rig.database.unit() as db:
            found = find_allocation(db, allocation_id)
            assert found is not None
            lease_id = self._lease(db, found.tenant_id, found.hourly_micros)
        begin_ms = self.rig.clock() - self.rig.clock() % MINUTE_MS
        entries: list[Entry] = []
        if allocation_id not in self.opened:
            self.opened.add(allocation_id)
            entries.append(
                Opened(
                    allocation_id=allocation_id,
                    tenant_id=found.tenant_id,
                    project_id=found.project_id,
                    sku=found.sku_id,
                    at_ms=begin_ms,
                    boot_id="boot-1",
                    container_id="c0ffee",
                    accelerators=(uuid_of(0),),
                )
            )
        for minute in range(minutes):
            entries.append(
                Use(
                    allocation_id=allocation_id,
                    tenant_id=found.tenant_id,
                    project_id=found.project_id,
                    sku=found.sku_id,
                    meter=GPU_MS,
                    lease_id=lease_id,
                    begin_ms=begin_ms + minute * MINUTE_MS,
                    end_ms=begin_ms + (minute + 1) * MINUTE_MS,
                    quantity=MINUTE_MS,
                    cumulative=(minute + 1) * MINUTE_MS,
                )
            )
        self.rig.clock.forward(minutes * MINUTE_MS)
        self.delivers(entries)

    def calls(self, key_id: str, tenant_id: str, project_id: str, tokens: int) -> None:
        """The node records and delivers tokens of a key's calls."""
        with self.rig.database.unit() as db:
            lease_id = self._lease(db, tenant_id, HOURLY)
        now_ms = self.rig.clock() - self.rig.clock() % MINUTE_MS
        self.rig.clock.forward(MINUTE_MS)
        use = Use(
            allocation_id=key_id,
            tenant_id=tenant_id,
            project_id=project_id,
            sku=MODEL,
            meter=TOKENS_OUT,
            lease_id=lease_id,
            begin_ms=now_ms,
            end_ms=now_ms + MINUTE_MS,
            quantity=tokens,
            cumulative=tokens,
        )
        self.delivers([use])

    def delivers(self, entries: list[Entry]) -> None:
        """The node appends entries to its log and sends what is new."""
        settings: Settings = self.rig.app.extensions[EXTENSION]
        if self.recorder is None:
            origin = log_origin(settings.domain, self.node_id, 0)
            self.recorder = Recorder(self.node_key, origin, [])
        begin = len(self.recorder.entries)
        self.recorder.record(*entries)
        with self.rig.database.unit() as db:
            answer = ingest(
                db,
                LogIdentity(self.node_id, 0, public_bytes(self.node_key), self.site_id, 7_000),
                self.recorder.batch(begin),
                surroundings=surroundings_of(list_owners=list_owners, list_prices=list_prices),
                now_ms=self.rig.clock(),
                registry_key=settings.key,
                domain=settings.domain,
            )
        assert answer.problem is None, answer.problem
        self.online()

    def serves(self, *names: str) -> None:
        """The node offers these models."""
        models = [ServedModel(name=name, ready=True, context_tokens=4096) for name in names]
        with self.rig.database.unit() as db:
            record_models(db, self.node_id, models, now_ms=self.rig.clock())

    def answers_at(self, gateway_url: str) -> None:
        """The node's gateway listens here."""
        with self.rig.database.unit() as db:
            values = {"gateway_url": gateway_url}
            db.write(update(node).where(node.c.node_id == self.node_id).values(values))

    def _lease(self, db: Db, tenant_id: str, hourly: int) -> int:
        """The tenant's lease on the node with the most left, topped up before."""
        now_ms = self.rig.clock()
        grant_first(db, tenant_id, self.node_id, hourly_micros=hourly * 2, now_ms=now_ms)
        leases = [one for one in list_open(db, self.node_id) if one.tenant_id == tenant_id]
        return max(leases, key=lambda one: one.remaining).lease_id


@dataclass
class Customer:
    """Somebody who launches: by pages, or with an API key."""

    market: Marketplace
    browser: Browser
    email: str

    @cached_property
    def tenant_id(self) -> str:
        return self._place()[0]

    @cached_property
    def project_id(self) -> str:
        return self._place()[1]

    def launches(self, name: str = "train-sw-llm", **fields: str) -> TestResponse:
        """Post the launch form."""
        form = {"sku": SKU, "gpu_count": "1", "place": "any", "image": IMAGE, "name": name}
        return self.browser.post("/launch", **{**form, **fields})

    def launched(self, name: str = "train-sw-llm", **fields: str) -> str:
        """Launch and return the allocation's id."""
        answer = self.launches(name, **fields)
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"].removeprefix("/workloads/")

    def api(self) -> "Program":
        """A program with a new API key of this customer."""
        page = self.browser.post("/access/api-keys", name="program", expires="never").text
        found = re.search(r'id="secret-value">(ok_[0-9a-z]+)<', page)
        assert found is not None, page
        key_id = re.findall(r'id="key-(k_[0-9a-z]+)"', page)
        return Program(self.market.rig, found.group(1), key_id[0] if key_id else "")

    def _place(self) -> tuple[str, str]:
        found = re.search(r'name="space" value="([^/"]+)/([^"]+)"', self.browser.get("/").text)
        assert found is not None
        return found.group(1), found.group(2)


@dataclass(slots=True)
class Program:
    """A program that calls the JSON API."""

    rig: Rig
    key: str
    key_id: str = ""

    def get(self, path: str) -> TestResponse:
        return self.rig.app.test_client().get(path, base_url=BASE_URL, headers=self._headers())

    def post(self, path: str, body: object, *, key: str = "") -> TestResponse:
        headers = self._headers()
        if key:
            headers["Idempotency-Key"] = key
        client = self.rig.app.test_client()
        return client.post(path, base_url=BASE_URL, json=body, headers=headers)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


def opened_market(rig: Rig, *, cards: int = 2, name: str = "demo-nbo-1") -> Marketplace:
    """A catalogue, an app, and a host's site with a node that is online."""
    host = rig.member("host@site.example", intent="host")
    tenant_id = Customer(Marketplace(rig, host, "", ""), host, "").tenant_id
    with rig.database.unit() as db:
        now_ms = rig.clock()
        load_catalogue(db, read_catalogue(CATALOGUE), actor=OPERATOR, now_ms=now_ms)
        publish(
            db,
            "demo-echo",
            "1.0",
            "Demo model server",
            Manifest(image=APP_IMAGE, ports=(8000,), serves="openai", read_only_root=True),
            actor=OPERATOR,
            now_ms=now_ms,
        )
        site = add_site(
            db,
            SiteFacts("Demo edge room", "Nairobi", "KE", "edge_room", "fibre", 20),
            tenant_id=tenant_id,
            actor=OPERATOR,
            now_ms=now_ms,
            new_id=rig.new_id,
        )
        open_site(db, site.site_id, actor=OPERATOR, now_ms=now_ms)
    made = Marketplace(rig, host, "", site.site_id)
    made.node_id = add_online_node(made, name, cards=cards)
    return made


def add_online_node(market: Marketplace, name: str, *, cards: int = 2, first: int = 0) -> str:
    """A node at the site, enrolled and heard of now."""
    rig = market.rig
    with rig.database.unit() as db:
        node_id = add_node(
            db,
            NodeFacts(name, "rack-1", GPU_MODEL, cards, 1600, 4),
            site_id=market.site_id,
            actor=OPERATOR,
            now_ms=rig.clock(),
            new_id=rig.new_id,
        )
        public_key = public_bytes(
            Ed25519PrivateKey.from_private_bytes(bytes(range(first, first + 32)))
        )
        db.write(
            update(node)
            .where(node.c.node_id == node_id)
            .values(
                public_key=public_key.hex(),
                key_id=key_id(public_key),
                enrolled_at_ms=rig.clock(),
                last_contact_at_ms=rig.clock(),
                simulated=1,
            )
        )
        facts = [
            AcceleratorFact(uuid_of(first + at), GPU_MODEL, 81_920, simulated=True, healthy=True)
            for at in range(cards)
        ]
        keep_accelerators(db, node_id, facts, now_ms=rig.clock())
    return node_id


def uuid_of(number: int) -> str:
    """The UUID of a simulated card."""
    return f"GPU-00000000-0000-0000-0000-{number:012d}"

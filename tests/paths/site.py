"""A whole site as real processes: registry, jobs, a backend, an agent, real containers.

It is made of the demo's own parts.  Whatever is killed is killed by its process group, as a power
cut would; whatever was made on this machine is taken away again in the end.
"""

import gzip
import itertools
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import httpx
import openai

from agent.drivers.docker_request import LABEL_NODE
from sites.demo.processes import DemoFailed, answers, program, write_secret
from sites.demo.setting import Setting
from tests.paths.template import Customer, Template, copied, template
from tests.services.firewall import sharing_the_firewall

MODEL = "demo-echo"
GPU_SKU = "sim-h100"
GPU_PRICE = (2_500_000, 3_600_000)
PRICES = {"gpu.ms": GPU_PRICE, "tok.in": (100, 1), "tok.out": (1_000, 1)}
TICK_MS = 1_000
WAIT_S = 60.0
LOG_END = 1_500
FOREVER = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done")


@dataclass
class Site:
    """A site that runs, and how to look at it from outside."""

    setting: Setting
    made: Template
    image: str
    names: Iterator[int] = field(default_factory=itertools.count)

    # Programs

    def start_registry(self) -> None:
        """Start gunicorn, and wait until it answers."""
        self._start("registry", "outstation-registry", "serve", config=self.setting.registry_toml)
        self.wait("registry", lambda: answers(f"{self.setting.registry_url}/healthz"))

    def start_all(self) -> None:
        """Bring up everything and wait until the node is online and sells."""
        self._start("jobs", "outstation-registry", "jobs", config=self.setting.registry_toml)
        echo = [program("outstation-agent"), "demo-echo", "--port", str(self.setting.echo_port)]
        self.setting.programs.start("echo", echo)
        self.start_registry()
        models = f"http://127.0.0.1:{self.setting.echo_port}/v1/models"
        self.wait("a model to serve", lambda: answers(models))
        self.enrol(self.setting.enrolment_secret)
        self.start_agent()
        self.wait("honoured keys and models", self._serves)

    def enrol(self, secret: str) -> Any:
        """Spend an enrolment secret."""
        path = write_secret(self.setting.folder / "enrolment-secret", secret)
        return self.setting.agent("enrol", "--secret-file", str(path))

    def start_agent(self) -> None:
        """Start the agent, and wait until its gateway answers."""
        self._start("agent", "outstation-agent", "run", config=self.setting.agent_toml)
        self.wait("agent", lambda: answers(f"{self.setting.gateway_url}/healthz"))

    def kill(self, name: str) -> None:
        """End a program and its children with SIGKILL, as a crash would."""
        self._end(name, signal.SIGKILL)

    def stop(self, name: str) -> None:
        """End a program in an orderly way."""
        self._end(name, signal.SIGTERM)

    def wait(self, what: str, holds: Callable[[], object], *, at_most_s: float = WAIT_S) -> None:
        """Wait until something holds, with every program alive; the logs' ends tell why not."""
        try:
            self.setting.programs.wait_for(what, lambda: bool(holds()), at_most_s=at_most_s)
        except DemoFailed as failed:
            logs = sorted((self.setting.folder / "logs").glob("*.log"))
            ends = [f"--- {log.name}\n{log.read_text()[-LOG_END:]}" for log in logs]
            raise AssertionError("\n".join([str(failed), *ends])) from None

    # The engine

    @contextmanager
    def engine_behind_a_door(self) -> Iterator[None]:
        """Have the agent reach the engine through a socket that can be taken away."""
        plain = self.setting.agent_toml.read_text()
        self.setting.agent_toml.write_text(f'{plain}\n[engine]\nurl = "unix://{self._door}"\n')
        self.open_the_door()
        try:
            yield
        finally:
            self.setting.agent_toml.write_text(plain)

    def open_the_door(self) -> None:
        """Let the agent reach the engine, again."""
        door = [sys.executable, "-m", "tests.paths.engine_door", str(self._door)]
        self.setting.programs.start("door", door)
        self.wait("door", self._door.is_socket)

    def shut_the_door(self) -> None:
        """Leave the agent without an engine, in the middle of whatever it asks."""
        self.kill("door")
        self._door.unlink()

    # The registry

    def api(self, who: str = "rich") -> httpx.Client:
        """A client of the JSON API with a customer's key."""
        return httpx.Client(
            base_url=self.setting.registry_url,
            headers={"Authorization": f"Bearer {self.customer(who).key}"},
            timeout=30,
            trust_env=False,
        )

    def customer(self, who: str = "rich") -> Customer:
        return self.made.customers[who]

    def body(self, sku: str = GPU_SKU) -> dict[str, Any]:
        """The JSON body of a launch."""
        manifest = {"image": self.image, "command": list(FOREVER)}
        return {"name": f"work-{next(self.names)}", "sku": sku, "manifest": manifest}

    def launch(self, who: str = "rich", sku: str = GPU_SKU) -> str:
        """Launch a workload, wait until it is active and used something; return its id."""
        self.wait("a node that sells", lambda: not self.open_findings())
        key = f"launch-{next(self.names):04d}-{time.monotonic_ns()}"
        with self.api(who) as api:
            answer = api.post(
                "/api/v1/allocations", json=self.body(sku), headers={"Idempotency-Key": key}
            )
        assert answer.status_code == 201, answer.text
        allocation_id = str(answer.json()["data"]["id"])
        self.wait("an active workload", lambda: self.show(allocation_id, who)["state"] == "active")
        self.wait("its first usage", lambda: self.uses(allocation_id))
        return allocation_id

    def show(self, allocation_id: str, who: str = "rich") -> dict[str, Any]:
        """What the JSON API says of a workload."""
        with self.api(who) as api:
            answer = api.get(f"/api/v1/allocations/{allocation_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["data"]
        return found

    def release(self, allocation_id: str, who: str = "rich") -> dict[str, Any]:
        """Release a workload; return what is said of it when it is gone and all is billed."""
        with self.api(who) as api:
            path = f"/api/v1/allocations/{allocation_id}/release"
            key = {"Idempotency-Key": f"release-{allocation_id}"}
            answer = api.post(path, json={}, headers=key)
        assert answer.status_code == 202, answer.text
        self.wait("released", lambda: self.show(allocation_id, who)["state"] == "released")
        self.wait_until_billed()
        return self.show(allocation_id, who)

    def in_registry(self, sql: str, *values: object) -> list[Any]:
        """Rows of the registry's database."""
        return _rows(self.setting.folder / "registry.sqlite", sql, values)

    def open_findings(self) -> list[str]:
        """Codes of the findings that are open about the node at the registry."""
        return self._column("SELECT code FROM finding WHERE closed_at_ms IS NULL")

    def charged(self) -> int:
        """What all customers were charged for usage, in micros."""
        sql = """SELECT coalesce(sum(micros), 0) FROM posting JOIN journal ON id = journal_id
                 WHERE kind = 'usage' AND account LIKE 'L:wallet:%'"""
        return int(self._column(sql)[0])

    def journals(self) -> list[Any]:
        """Every journal with its postings, oldest first."""
        return self.in_registry(
            """SELECT id, src, kind, account, micros FROM journal
               LEFT JOIN posting ON journal_id = id ORDER BY id, account"""
        )

    def rated(self) -> int:
        """What the node's log comes to, as far as customers pay for it."""
        asked = "SELECT allocation_id, release_at_ms FROM allocation WHERE release_at_ms > 0"
        return rated(self.entries()[: self.accepted()], dict(self.in_registry(asked)))

    def count_made(self) -> dict[str, int]:
        """How many rows there are of what a launch makes, and what all wallets hold."""
        counted = {
            table: int(self._column(f"SELECT count(*) FROM {table}")[0])
            for table in ("allocation", "allocation_event", "lease", "journal")
        }
        counted["held"] = int(self._column("SELECT sum(held) FROM account")[0])
        counted["generation"] = int(self._column("SELECT sum(desired_generation) FROM node")[0])
        return counted

    def wallet(self, who: str) -> int:
        """What a customer has paid in and not spent, in micros."""
        tenant_id = self.customer(who).tenant_id
        (row,) = self.in_registry(
            "SELECT balance FROM account WHERE name = ?", f"L:wallet:{tenant_id}"
        )
        return -int(row[0])

    def available(self, who: str) -> int:
        """What a customer may still promise, in micros."""
        with self.api(who) as api:
            return int(api.get("/api/v1/balance").json()["data"]["available_micros"])

    def overrun(self) -> int:
        """What work cost beyond what its customers had, in micros."""
        sql = "SELECT coalesce(sum(balance), 0) FROM account WHERE name = 'X:overrun'"
        return int(self._column(sql)[0])

    def postings_sum(self) -> int:
        """The sum over all postings."""
        return int(self._column("SELECT sum(micros) FROM posting")[0])

    def accepted(self) -> int:
        """How many entries of the node's log the registry has taken in."""
        return int(self._column("SELECT coalesce(max(size), 0) FROM node_log")[0])

    def ledger_problems(self) -> list[Any]:
        """What `outstation-registry ledger verify` finds."""
        problems: list[Any] = self.setting.registry("ledger", "verify")["problems"]
        return problems

    # The node

    def in_node(self, sql: str, *values: object) -> list[Any]:
        """Rows of the node's database."""
        return _rows(self.node_file, sql, values)

    @property
    def node_file(self) -> Path:
        return self.setting.folder / "agent" / "agent.db"

    def entries(self) -> list[dict[str, Any]]:
        """The node's usage log: what is sealed in bundles (C2SP tlog-tiles), then the rest."""
        rows = self.in_node(
            "SELECT number * 256, entries, 1 FROM usage_bundle "
            "UNION ALL SELECT idx, entry, 0 FROM usage_entry ORDER BY 1"
        )
        parts = (_unsealed(raw) if sealed else [raw] for _, raw, sealed in rows)
        return [json.loads(entry) for part in parts for entry in part]

    def uses(self, owner: str) -> list[dict[str, Any]]:
        """What an allocation or key used, by the node's log."""
        return [one for one in self.entries() if one["k"] == "use" and one["alc"] == owner]

    def log_size(self) -> int:
        ((size,),) = self.in_node("SELECT size FROM usage_log")
        return int(size)

    def agent_command(self, *arguments: str) -> list[str]:
        """The command line of `outstation-agent` for this node."""
        return [program("outstation-agent"), "--config", str(self.setting.agent_toml), *arguments]

    def verify_log(self) -> Any:
        """What `outstation-agent verify-log` says of an intact log."""
        return self.setting.agent("verify-log")

    def wait_until_billed(self) -> None:
        """Wait until nothing is open at the node and the registry has the whole log."""

        def settled() -> bool:
            open_runs = "SELECT 1 FROM run WHERE closed = 0 AND ready_at_ms IS NOT NULL"
            open_calls = "SELECT 1 FROM call WHERE recorded = 0"
            if self.in_node(open_calls) or self.in_node(f"{open_runs} AND phase = 'absent'"):
                return False
            return self.accepted() == self.log_size()

        self.wait("usage at the registry", settled)

    def containers(self) -> list[dict[str, Any]]:
        """Every container of this node, whatever its state, as the engine describes it."""
        with closing(docker.APIClient(version="auto")) as engine:
            label = {"label": f"{LABEL_NODE}={self.setting.node_id}"}
            found = engine.containers(all=True, filters=label)
            return [engine.inspect_container(one["Id"]) for one in found]

    def container_of(self, allocation_id: str) -> tuple[str, str]:
        """Id and start time of the one container of an allocation, which runs."""
        (found,) = [one for one in self.containers() if allocation_id in json.dumps(one["Config"])]
        assert found["State"]["Running"], found["State"]
        return found["Id"], found["State"]["StartedAt"]

    def client(self, key: str = "", **options: Any) -> openai.OpenAI:
        """The official SDK, pointed at the node's gateway."""
        base_url = f"{self.setting.gateway_url}/v1"
        return openai.OpenAI(base_url=base_url, api_key=key or self.setting.api_key, **options)

    def close(self, *, last: bool) -> None:
        """Stop every program and remove what the node made on this machine.

        last  whether no other site needs the firewall's rules
        """
        self.setting.programs.stop()
        if self.node_file.exists() and last:
            self.setting.agent("clean")
            assert self.containers() == []
            return
        with closing(docker.APIClient(version="auto")) as engine:
            label = {"label": f"{LABEL_NODE}={self.setting.node_id}"}
            for container in engine.containers(all=True, filters=label):
                engine.remove_container(container["Id"], v=True, force=True)
            for network in engine.networks(filters=label):
                engine.remove_network(network["Id"])

    @property
    def _door(self) -> Path:
        return self.setting.folder / "engine.sock"

    def _start(self, name: str, command: str, *arguments: str, config: Path) -> None:
        self.setting.programs.start(name, [program(command), "--config", str(config), *arguments])

    def _end(self, name: str, number: int) -> None:
        process = self.setting.programs.running.pop(name)
        os.killpg(process.pid, number)
        process.wait(30)

    def _serves(self) -> bool:
        try:
            with self.client(max_retries=0) as client:
                return any(one.id == MODEL for one in client.models.list())
        except openai.OpenAIError:
            return False

    def _column(self, sql: str) -> list[Any]:
        return [value for (value,) in self.in_registry(sql)]


def rated(entries: list[dict[str, Any]], released: Mapping[str, int] | None = None) -> int:
    """What a log comes to by the prices of these tests, in micros: each stream rounded down once.

    Written down anew here, from the prices, so that it owes nothing to what it checks.

    released  when the release of each allocation was asked for: nobody pays for what is after
    """
    ends = released or {}
    totals: dict[tuple[str, str, str], int] = {}
    for one in entries:
        if one["k"] == "use":
            stream = (one["alc"], one["m"], one["sku"])
            late_ms = max(0, one["t1"] - max(one["t0"], ends.get(one["alc"], one["t1"])))
            quantity = one["q"] - late_ms if one["m"] == "gpu.ms" else one["q"]
            totals[stream] = totals.get(stream, 0) + quantity
    return sum(
        quantity * PRICES[meter][0] // PRICES[meter][1]
        for (_, meter, _), quantity in totals.items()
    )


@contextmanager
def running_site(run_folder: Path, folder: Path, image_id: str) -> Iterator[Site]:
    """A site that is up; taken down again whatever happens."""
    with prepared_site(run_folder, folder, image_id) as site:
        site.start_all()
        yield site


@contextmanager
def prepared_site(run_folder: Path, folder: Path, image_id: str) -> Iterator[Site]:
    """A site that is set up, with nothing running yet."""
    made = template(run_folder)
    setting = copied(made, folder)
    site = Site(setting, made, f"local/busybox@{image_id}")
    with sharing_the_firewall() as is_alone:
        try:
            yield site
        finally:
            site.close(last=is_alone())


def _unsealed(bundle: bytes) -> Iterator[bytes]:
    raw = gzip.decompress(bundle)
    while raw:
        end = 2 + int.from_bytes(raw[:2], "big")
        yield raw[2:end]
        raw = raw[end:]


def _rows(path: Path, sql: str, values: tuple[object, ...]) -> list[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(sql, values).fetchall()

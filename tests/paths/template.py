"""The folder every site of a run begins as: a registry that is set up, made once by its commands.

Three organizations have a project and an API key each: `rich` has money, `thrifty` a little more
than an hour of the dear GPU, `poor` nothing.  The rich one has many keys: calls in many streams.
"""

import io
import json
import secrets
import shutil
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from registry.access.operations import NewKey, create_key
from registry.commands import new_id, now_ms
from registry.config import database_url, read_config
from registry.store.database import Database, Db
from registry.tenants.roles import console
from sites.demo.processes import Programs
from sites.demo.setting import Setting
from sites.demo.steps import HERE as DEMO
from tests.services.shared import locked

CATALOGUE = Path(__file__).with_name("catalogue.toml")
KEYS = 40
FUNDS = {"rich": "2500.00", "thrifty": "40.00", "poor": None}
OWNER = "amina@demo.example"
REGISTRY_TOML = """\
demo = true
base_url = "http://127.0.0.1:{registry_port}"
listen = "127.0.0.1:{registry_port}"
workers = 1
threads = 8
database = "sqlite:///registry.sqlite"
key_file = "registry.key"
sync_interval_ms = 500
site_share_basis_points = 7000

[mail]
sender = "demo@demo.example"
outbox = "outbox"
"""
AGENT_TOML = """\
demo = true
registry_url = "http://127.0.0.1:{registry_port}"
state_directory = "{folder}/agent"
sync_interval_s = 1

[gateway]
port = {gateway_port}

[accelerators]
source = "simulated"
simulated_count = 2
simulated_model = "Simulated H100 80GB"

[metering]
tick_s = 1

[[backends]]
name = "demo-echo"
url = "http://127.0.0.1:{echo_port}/v1"
"""
PORTS = range(20_000, 32_000)
"""Below the ports that the kernel gives to callers, so that a port stays free over a restart."""


@dataclass(frozen=True)
class Customer:
    """An organization, its project, and its API keys."""

    tenant_id: str
    project_id: str
    keys: tuple[str, ...]

    @property
    def key(self) -> str:
        return self.keys[0]


@dataclass(frozen=True)
class Template:
    """What was set up, and the folder it is in."""

    folder: str
    customers: dict[str, Customer]


def template(run_folder: Path) -> Template:
    """The template of this run; the first process that asks makes it."""
    note = run_folder / "site-template.json"
    with locked(run_folder, "site-template"):
        if not note.exists():
            note.write_text(json.dumps(asdict(_made(run_folder / "site-template"))))
    read = json.loads(note.read_text())
    customers = {
        name: Customer(one["tenant_id"], one["project_id"], tuple(one["keys"]))
        for name, one in read.pop("customers").items()
    }
    return Template(**read, customers=customers)


def setting_in(folder: Path) -> Setting:
    """A demo's setting with a quick tick and ports of its own."""
    for part in (folder, folder / "agent", folder / "outbox"):
        part.mkdir(parents=True, mode=0o700, exist_ok=True)
    registry, gateway, echo = free_ports(3)
    ports = {"registry_port": registry, "gateway_port": gateway, "echo_port": echo}
    setting = Setting(
        folder=folder,
        registry_port=registry,
        gateway_port=gateway,
        echo_port=echo,
        programs=Programs(folder),
        lock=io.StringIO(),
    )
    setting.registry_toml.write_text(REGISTRY_TOML.format(**ports))
    setting.agent_toml.write_text(AGENT_TOML.format(folder=folder, **ports))
    return setting


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    found: list[int] = []
    for port in secrets.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            break
    return found


def copied(made: Template, folder: Path) -> Setting:
    """A setting whose registry begins as the template's, with a site and node of its own.

    Containers are told apart by their node's id, so that no two sites may share one.
    """
    setting = setting_in(folder)
    for file in Path(made.folder).glob("registry.*"):
        if file.suffix != ".toml":
            shutil.copy2(file, folder)
    rich = made.customers["rich"]
    setting.tenant_id, setting.project_id = rich.tenant_id, rich.project_id
    setting.api_key = rich.key
    site = setting.registry(
        "site", "add", str(DEMO / "site.toml"), "--organization", rich.tenant_id, "--open"
    )
    (node,) = site["nodes"]
    setting.node_id, setting.enrolment_secret = node["node_id"], node["secret"]
    return setting


def _made(folder: Path) -> Template:
    setting = setting_in(folder)
    setting.registry("migrate")
    setting.registry("catalogue", "load", str(CATALOGUE))
    customers = {name: _customer(setting, name, funds) for name, funds in FUNDS.items()}
    return Template(str(folder), customers)


def _customer(setting: Setting, name: str, funds: str | None) -> Customer:
    owner = OWNER if name == "rich" else f"{name}@demo.example"
    made = setting.registry("organization", "add", f"{name} organization", "--owner", owner)
    tenant_id, project_id = made["tenant_id"], made["project_id"]
    if funds is not None:
        setting.registry("top-up", tenant_id, funds, "--reference", name)
    keys = new_keys(setting, project_id, KEYS if name == "rich" else 1)
    return Customer(tenant_id, project_id, keys)


def new_keys(setting: Setting, project_id: str, count: int) -> tuple[str, ...]:
    """Make API keys, many at once, as `outstation-registry key add` does one."""

    def work(db: Db) -> tuple[str, ...]:
        made = [
            create_key(
                db,
                NewKey(name=f"key {number}"),
                project_id=project_id,
                actor=console(),
                now_ms=now_ms(),
                new_id=new_id,
                entropy=secrets.token_bytes,
            )
            for number in range(count)
        ]
        return tuple(secret for _, secret in made)

    database = Database(database_url(read_config(setting.registry_toml)))
    try:
        keys: tuple[str, ...] = database.run(work)
        return keys
    finally:
        database.close()

"""Where a demo runs: its folder, ports and the two configuration files."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from sites.demo.processes import DemoFailed, Programs, free_port, program, stop_leftovers

OWNER = "amina@demo.example"
ORGANIZATION = "Demo organization"
SIMULATED_SKU = "sim-h100"
SIMULATED_MODEL = "Simulated H100 80GB"
"""As in catalogue.toml and site.toml; a machine with real GPUs sells those instead."""

TICK_S = 2
"""Metering tick of the demo node; a node at work uses 60 s."""

REGISTRY_PORT = 8080
GATEWAY_PORT = 8090

REGISTRY_TOML = """\
# Written by the demo.
demo = true
base_url = "{registry_url}"
listen = "127.0.0.1:{registry_port}"
workers = 1
threads = 8
database = "sqlite:///registry.sqlite"
key_file = "registry.key"
platform_admins = ["{owner}"]
sync_interval_ms = 1000
site_share_basis_points = 7000

[mail]
sender = "demo@demo.example"
outbox = "outbox"
"""

AGENT_TOML = """\
# Written by the demo.
demo = true
registry_url = "{registry_url}"
state_directory = "{folder}/agent"
sync_interval_s = 1

[gateway]
host = "127.0.0.1"
port = {gateway_port}

[accelerators]
source = "auto"
simulated_count = 2
simulated_model = "{simulated_model}"

[metering]
tick_s = {tick_s}

[[backends]]
name = "demo-echo"
url = "http://127.0.0.1:{echo_port}/v1"
"""


@dataclass
class Setting:
    """One demo: its folder, addresses and programs; the rest is filled in step by step."""

    folder: Path
    registry_port: int
    gateway_port: int
    echo_port: int
    programs: Programs
    lock: TextIO
    tenant_id: str = ""
    project_id: str = ""
    node_id: str = ""
    api_key: str = ""
    enrolment_secret: str = ""
    allocation_id: str = ""
    image: str = ""
    sku: str = SIMULATED_SKU

    @property
    def registry_url(self) -> str:
        """Where people and nodes reach the registry."""
        return f"http://127.0.0.1:{self.registry_port}"

    @property
    def gateway_url(self) -> str:
        """Where clients reach the node."""
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def registry_toml(self) -> Path:
        """The registry's configuration."""
        return self.folder / "registry.toml"

    @property
    def agent_toml(self) -> Path:
        """The node's configuration."""
        return self.folder / "agent.toml"

    def registry(self, *arguments: str, timeout_s: float = 60) -> Any:
        """Run `outstation-registry …  --json` and return what it says under `data`."""
        command = [program("outstation-registry"), "--config", str(self.registry_toml)]
        return ran([*command, *arguments, "--json"], timeout_s=timeout_s)

    def agent(self, *arguments: str, timeout_s: float = 60) -> Any:
        """Run `outstation-agent … --json` and return what it says under `data`."""
        command = [program("outstation-agent"), "--config", str(self.agent_toml)]
        return ran([*command, *arguments, "--json"], timeout_s=timeout_s)

    def outstation(self, *arguments: str, timeout_s: float = 60) -> Any:
        """Run the customer's `outstation … --json` with the demo's key."""
        environment = {"OUTSTATION_URL": self.registry_url, "OUTSTATION_API_KEY": self.api_key}
        command = [program("outstation"), *arguments[:1], "--json", *arguments[1:]]
        return ran(command, timeout_s=timeout_s, environment=environment)


def prepared(folder: Path) -> Setting:
    """Return the setting of a fresh demo in `folder`, which is emptied first.

    Raises DemoFailed while another demo runs there.
    """
    lock = open(folder.with_suffix(".lock"), "w")  # noqa: SIM115 - held until this program ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise DemoFailed(f"A demo runs in {folder} already: stop it with Ctrl-C first.") from None
    if folder.exists():
        _clear(folder)
    for part in (folder, folder / "agent", folder / "outbox"):
        part.mkdir(parents=True, mode=0o700)
    setting = Setting(
        folder=folder,
        registry_port=_port(REGISTRY_PORT),
        gateway_port=_port(GATEWAY_PORT),
        echo_port=free_port(),
        programs=Programs(folder),
        lock=lock,
    )
    setting.registry_toml.write_text(
        REGISTRY_TOML.format(
            registry_url=setting.registry_url,
            registry_port=setting.registry_port,
            owner=OWNER,
        )
    )
    setting.agent_toml.write_text(
        AGENT_TOML.format(
            registry_url=setting.registry_url,
            gateway_port=setting.gateway_port,
            echo_port=setting.echo_port,
            folder=folder,
            simulated_model=SIMULATED_MODEL,
            tick_s=TICK_S,
        )
    )
    return setting


def ran(command: list[str], *, timeout_s: float, environment: dict[str, str] | None = None) -> Any:
    """Run a command of ours and return its `data`; its own words if it fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DemoFailed(f"`{' '.join(command[:4])} …` took over {timeout_s:.0f} s") from None
    line = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
    try:
        answer = json.loads(line)
    except json.JSONDecodeError:
        answer = {"ok": False, "error": {"message": done.stderr.strip() or line}}
    if done.returncode != 0 or not answer.get("ok"):
        error = answer.get("error") or {}
        said = f"{error.get('message', '')} {error.get('hint', '')}".strip()
        raise DemoFailed(f"`{' '.join(command[:4])} …` said: {said or done.stderr.strip()}")
    return answer["data"]


def _clear(folder: Path) -> None:
    """Remove what a demo left that was killed: its programs, its containers, its files."""
    stop_leftovers(folder)
    agent_toml = folder / "agent.toml"
    if agent_toml.exists():
        command = [program("outstation-agent"), "--config", str(agent_toml), "clean", "--json"]
        # A demo that ended before it was enrolled has nothing to clean and says so.
        subprocess.run(command, capture_output=True, timeout=60, check=False)
    shutil.rmtree(folder)


def _port(wanted: int) -> int:
    """Return the wanted port if it is free, else another."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
    return wanted

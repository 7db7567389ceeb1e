"""What the commands of a node do, apart from running it."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from agent.allocations.queries import list_observed
from agent.allocations.runtime import Container
from agent.config import Config
from agent.demo_echo.routes import demo_app
from agent.drivers.docker_engine import DockerEngine
from agent.drivers.firewall import Firewall
from agent.drivers.host import wall_ms
from agent.drivers.keyfile import make_key, next_key_path
from agent.health.queries import list_findings
from agent.leases.queries import list_open_leases
from agent.machine import KEY_FILE, STORE_FILE, fresh_id
from agent.metering.operations import prove_call
from agent.server.app import open_socket, serving
from agent.store.database import Db, open_for_reading
from agent.sync.exchange import NotEnrolled
from agent.sync.queries import find_contact, get_identity
from agent.usage_log.operations import count_unsent, find_log_fault
from agent.usage_log.queries import get_log
from protocol.call_row import CallProof
from protocol.note import verifier_key
from protocol.refusal import Fault
from protocol.signing import public_bytes

KILL_LOOK_S = 0.2
KILL_LOOKS_MAX = 150
"""Half a minute for killed containers to be gone."""


def opened(config: Config) -> Db:
    """Return the database of this node for a look; refuse where the machine is not enrolled."""
    path = Path(config.state_directory) / STORE_FILE
    if not path.exists():
        raise NotEnrolled
    return open_for_reading(path)


def node_status(config: Config) -> dict[str, Any]:
    """Return what the node holds and sees, read beside the running agent."""
    db = opened(config)
    identity, contact, log = get_identity(db), find_contact(db), get_log(db)
    heard = contact.last_answer_at_ms
    return {
        "node_id": identity.node_id,
        "node_name": identity.node_name,
        "site_name": identity.site_name,
        "registry": "never heard" if heard is None else f"last heard {_ago(wall_ms() - heard)} ago",
        "last_contact_at_ms": heard,
        "skew_ms": contact.skew_ms,
        "log": {
            "origin": log.origin,
            "size": log.frontier.size,
            "accepted": log.accepted.size,
            "unsent": count_unsent(db),
            "fault": find_log_fault(db),
        },
        "allocations": [msgspec.to_builtins(one) for one in list_observed(db)],
        "leases": [asdict(lease) for lease in list_open_leases(db)],
        "findings": [msgspec.to_builtins(finding) for finding in list_findings(db)],
    }


def proof_of_call(config: Config, call_id: str) -> CallProof:
    """Return the proof that a call stands in this node's usage log."""
    return prove_call(opened(config), call_id)


def next_key(config: Config) -> str:
    """Make the key that is to take the place of this node's; return its verifier key.

    The running agent, or the next one that is started, changes to it at its next call.
    """
    origin = get_log(opened(config)).origin
    key = make_key(next_key_path(Path(config.state_directory) / KEY_FILE))
    return verifier_key(origin, public_bytes(key))


async def clean_up(config: Config) -> int:
    """End and remove this node's containers, its networks and firewall rules; return how many.

    The rules go last: nothing of ours runs without them.
    """
    db = opened(config)
    engine = DockerEngine(node_id=get_identity(db).node_id, url=config.engine.url)
    try:
        containers = await _ended(engine)
        for container in containers:
            await engine.remove(container.container_id)
            await engine.remove_network(container.allocation_id)
    finally:
        await engine.close()
    await Firewall(site_networks=config.engine.site_networks).removed()
    return len(containers)


async def _ended(engine: DockerEngine) -> Sequence[Container]:
    """Return this node's containers, killed where they ran."""
    for _ in range(KILL_LOOKS_MAX):
        containers = await engine.list_containers()
        running = [one for one in containers if one.state == "running"]
        if not running:
            return containers
        for container in running:
            await engine.kill(container.container_id)
        await asyncio.sleep(KILL_LOOK_S)
    raise Fault(
        f"{running[0].container_id[:12]} does not end, not even killed. Look at `docker ps`, "
        "restart the container engine, then clean up again."
    )


async def serve_echo(*, port: int, delay_ms: int) -> None:
    """Serve demo-echo on loopback until SIGTERM or Ctrl-C."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    app = demo_app(delay_ms=delay_ms, new_id=fresh_id, clock=wall_ms)
    async with serving(app, open_socket("127.0.0.1", port)):
        await stop.wait()


def _ago(ms: int) -> str:
    seconds = max(0, ms // 1000)
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"

"""What the commands of a node do, apart from running it."""

import asyncio
import secrets
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from agent.allocations.queries import list_observed
from agent.allocations.runtime import Container
from agent.config import Config, gateway_url
from agent.demo_echo.routes import demo_app
from agent.drivers.docker_engine import DockerEngine
from agent.drivers.firewall import Firewall
from agent.drivers.host import HostReader, boot_id, wall_ms
from agent.drivers.keyfile import ensure_key
from agent.health.queries import list_findings
from agent.leases.queries import list_open_leases
from agent.machine import KEY_FILE, STORE_FILE, accelerator_source, engine_version, fresh_id
from agent.observer import accelerator_facts, host_facts
from agent.server.app import open_socket, serving
from agent.store.database import open_for_reading
from agent.store.thread import Store
from agent.sync.client import RegistryClient
from agent.sync.loop import enrol
from agent.sync.queries import find_contact, get_identity
from agent.usage_log.operations import count_unsent, find_log_fault
from agent.usage_log.queries import get_log
from protocol import PROTOCOL_VERSION, __version__
from protocol.enrolment import EnrolAnswer, EnrolRequest
from protocol.refusal import Fault
from protocol.signing import KEY_BYTES, new_signing_key, public_bytes

FOLDER_MODE = 0o700
DISK_FLOOR_MIB = 1024
KILL_LOOK_S = 0.2
KILL_LOOKS_MAX = 150
"""Half a minute for killed containers to be gone."""


async def enrolled(config: Config, secret: str) -> EnrolAnswer:
    """Enrol this machine; sent again after a lost answer, it becomes the same node."""
    state = Path(config.state_directory)
    try:
        state.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    except OSError as error:
        raise Fault(
            f"state_directory: {state} cannot be made ({error.strerror}). Name a folder that "
            "this user may write, or run as one who may."
        ) from error
    with Store(state / STORE_FILE) as store:
        key = ensure_key(state / KEY_FILE)
        client = RegistryClient(
            config.registry_url,
            key,
            new_nonce=partial(secrets.token_urlsafe, 24),
            agent_version=__version__,
        )
        engine = DockerEngine(node_id="", url=config.engine.url)
        source = await accelerator_source(config, key)
        try:
            cards = await source.list_accelerators() if source else ()
            samples = await source.read_samples(wall_ms()) if source else ()
            reading = HostReader(state).read()
            request = EnrolRequest(
                secret=secret,
                public_key=public_bytes(key).hex(),
                agent_version=__version__,
                protocol=PROTOCOL_VERSION,
                boot_id=boot_id(),
                gateway_url=gateway_url(config, config.gateway.port),
                host=host_facts(reading, engine=await engine_version(engine)),
                accelerators=accelerator_facts(cards, samples, {}),
            )
            return await enrol(store, client, request, now_ms=wall_ms())
        finally:
            await engine.close()
            await client.close()
            if source is not None:
                await source.close()


def node_status(config: Config) -> dict[str, Any]:
    """Return what the node holds and sees, read beside the running agent."""
    db = open_for_reading(Path(config.state_directory) / STORE_FILE)
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


async def doctor_report(config: Config) -> list[dict[str, Any]]:
    """Return one line per thing a node needs: whether it is well, what was seen."""
    engine = DockerEngine(node_id="", url=config.engine.url)
    try:
        version = await engine.version()
        report = [_line("container engine", ok=True, detail=version)]
    except Fault as fault:
        report = [_line("container engine", ok=False, detail=str(fault))]
    finally:
        await engine.close()
    firewall = await Firewall(site_networks=config.engine.site_networks).asserted()
    report.append(_line("egress rules", ok=firewall is None, detail=firewall or "in place"))
    state = Path(config.state_directory)
    if state.exists():
        free_mib = HostReader(state).read().disk_free_mib
        enough = free_mib >= DISK_FLOOR_MIB
        report.append(_line("disk", ok=enough, detail=f"{free_mib} MiB free at {state}"))
    else:
        detail = f"{state} is not there yet; it is made when the machine is enrolled"
        report.append(_line("state directory", ok=True, detail=detail))
    report.append(await _gpu_line(config))
    return report


async def clean_up(config: Config) -> int:
    """End and remove this node's containers, its networks and firewall rules; return how many.

    The rules go last: nothing of ours runs without them.
    """
    db = open_for_reading(Path(config.state_directory) / STORE_FILE)
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


async def _gpu_line(config: Config) -> dict[str, Any]:
    # The key only names simulated cards; a look must not make one.
    source = await accelerator_source(config, new_signing_key(bytes(KEY_BYTES)))
    if source is None:
        return _line("GPUs", ok=False, detail="no NVIDIA driver answers on this machine")
    try:
        cards = await source.list_accelerators()
    except Fault as fault:
        return _line("GPUs", ok=False, detail=str(fault))
    finally:
        await source.close()
    names = ", ".join(card.model + (" (simulated)" if card.simulated else "") for card in cards)
    return _line("GPUs", ok=bool(cards), detail=names or "none found")


def _line(what: str, *, ok: bool, detail: str) -> dict[str, Any]:
    return {"what": what, "ok": ok, "detail": detail}


def _ago(ms: int) -> str:
    seconds = max(0, ms // 1000)
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"

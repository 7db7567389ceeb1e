"""`outstation-agent doctor`: what a node needs, looked at one by one, each with what to do."""

import platform
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import takewhile
from pathlib import Path

from agent.allocations.runtime import EngineFault
from agent.config import Config
from agent.drivers.docker_engine import DockerEngine
from agent.drivers.firewall import Firewall
from agent.drivers.host import HostReader, wall_ms
from agent.health.checks import clock_skew, docker_down, driver_missing, egress_unprotected
from agent.health.checks.log_broken import REMEDY as LOG_REMEDY
from agent.machine import STORE_FILE, accelerator_source
from agent.store.database import Db, open_for_reading
from agent.sync.client import reach
from agent.sync.queries import find_identity, list_trusted
from agent.usage_log.operations import audit_keys, count_unsent, find_log_fault, verify_log
from agent.usage_log.queries import get_log
from protocol import PROTOCOL_VERSION, __version__
from protocol.refusal import Fault
from protocol.signing import KEY_BYTES, new_signing_key

DISK_FLOOR_MIB = 1024
FLOORS = {"aiohttp": "3.13.4", "zeroconf": "0.149.12"}
"""Releases below these have known holes; a distribution may have mended them under its number."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing a node needs.

    detail  what was seen
    remedy  what to do, where it is not well
    facts   the same as figures and names, for programs
    """

    what: str
    ok: bool
    detail: str
    remedy: str = ""
    facts: dict[str, str | int | None] = field(default_factory=dict)


async def doctor_report(config: Config) -> list[Line]:
    """Return one line per thing a node needs; nothing is changed but the firewall's own rules."""
    registry, clock = await _registry_lines(config)
    return [
        _versions(),
        await _engine(config),
        await _egress(config),
        await _gpus(config),
        _disk(config),
        registry,
        clock,
        _usage_log(config),
    ]


def _versions() -> Line:
    found: dict[str, str | int | None] = {
        "agent": __version__,
        "protocol": PROTOCOL_VERSION,
        "python": platform.python_version(),
        "kernel": platform.release(),
    }
    old = []
    for package, floor in FLOORS.items():
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
        if _numbers(str(found[package])) < _numbers(floor):
            old.append(f"{package} {found[package]} is older than {floor}")
    seen = ", ".join(f"{name} {value}" for name, value in found.items())
    remedy = "Install the release of the agent again: it brings the versions it was tested with."
    return Line("versions", not old, "; ".join(old) or seen, remedy if old else "", found)


async def _engine(config: Config) -> Line:
    engine = DockerEngine(node_id="", url=config.engine.url)
    try:
        return Line("container engine", ok=True, detail=await engine.version())
    except EngineFault as fault:
        return Line("container engine", ok=False, detail=fault.message, remedy=docker_down.REMEDY)
    finally:
        await engine.close()


async def _egress(config: Config) -> Line:
    fault = await Firewall(site_networks=config.engine.site_networks).asserted()
    if fault is None:
        return Line("egress rules", ok=True, detail="in place")
    return Line("egress rules", ok=False, detail=fault, remedy=egress_unprotected.REMEDY)


async def _gpus(config: Config) -> Line:
    if config.accelerators.source == "none":
        return Line("GPUs", ok=True, detail='none wanted (accelerators.source = "none")')
    # The key only names simulated cards; a look must not make one.
    source = await accelerator_source(config, new_signing_key(bytes(KEY_BYTES)))
    if source is None:
        detail = "no NVIDIA driver answers on this machine"
        return Line("GPUs", ok=False, detail=detail, remedy=driver_missing.REMEDY)
    try:
        cards = await source.list_accelerators()
    except Fault as fault:
        remedy = getattr(fault, "remedy", driver_missing.REMEDY)
        return Line("GPUs", ok=False, detail=str(fault), remedy=remedy)
    finally:
        await source.close()
    if not cards:
        return Line("GPUs", ok=False, detail="none found", remedy=driver_missing.REMEDY)
    names = ", ".join(card.model + (" (simulated)" if card.simulated else "") for card in cards)
    return Line("GPUs", ok=True, detail=names, facts={"count": len(cards)})


def _disk(config: Config) -> Line:
    state = Path(config.state_directory)
    if not state.exists():
        detail = f"{state} is not there yet; it is made when the machine is enrolled"
        return Line("disk", ok=True, detail=detail)
    free_mib = HostReader(state).read().disk_free_mib
    detail = f"{free_mib} MiB free at {state}"
    if free_mib >= DISK_FLOOR_MIB:
        return Line("disk", ok=True, detail=detail, facts={"free_mib": free_mib})
    remedy = f"Free at least {DISK_FLOOR_MIB} MiB: `docker image prune` removes unused images."
    return Line("disk", ok=False, detail=detail, remedy=remedy, facts={"free_mib": free_mib})


async def _registry_lines(config: Config) -> tuple[Line, Line]:
    """Return how far a call to the registry comes, and what its answer says of our clock."""
    seen = await reach(config.registry_url, wall=wall_ms)
    ok = seen.fault is None
    detail = seen.fault or f"{config.registry_url} answers"
    registry = Line("registry", ok, detail, seen.remedy)
    if seen.skew_ms is None:
        return registry, Line("clock", ok=True, detail="not compared: no time was told")
    facts: dict[str, str | int | None] = {"skew_ms": seen.skew_ms}
    seconds = abs(seen.skew_ms) // 1000
    if abs(seen.skew_ms) <= clock_skew.WARNING_MS:
        detail = "within 5 s of the registry's"
        return registry, Line("clock", ok=True, detail=detail, facts=facts)
    direction = "ahead of" if seen.skew_ms > 0 else "behind"
    detail = f"{seconds} s {direction} the registry's; beyond 300 s its calls are refused"
    return registry, Line("clock", ok=False, detail=detail, remedy=clock_skew.REMEDY, facts=facts)


def _usage_log(config: Config) -> Line:
    """Return whether the log may be signed and its end is intact; `verify-log` looks at it all."""
    path = Path(config.state_directory) / STORE_FILE
    if not path.exists():
        return Line("usage log", ok=True, detail="begins when the machine is enrolled")
    try:
        db = open_for_reading(path)
        try:
            return _log_line(db)
        finally:
            db.close()
    except Fault as fault:
        return Line("usage log", ok=False, detail=str(fault), remedy=LOG_REMEDY)


def _log_line(db: Db) -> Line:
    identity = find_identity(db)
    if identity is None:
        return Line("usage log", ok=True, detail="begins when the machine is enrolled")
    keys = audit_keys(
        registry_domain=identity.registry_domain,
        node=identity.public_key,
        witnesses=list(list_trusted(db).values()),
    )
    log = get_log(db)
    facts: dict[str, str | int | None] = {
        "size": log.frontier.size,
        "accepted": log.accepted.size,
        "unsent": count_unsent(db),
    }
    fault = find_log_fault(db) or verify_log(db, keys, whole=False).fault
    if fault is not None:
        return Line("usage log", ok=False, detail=fault, remedy=LOG_REMEDY, facts=facts)
    detail = f"{log.frontier.size} entries, {log.accepted.size} cosigned by the registry"
    return Line("usage log", ok=True, detail=detail, facts=facts)


def _numbers(text: str) -> list[int]:
    """Return a version as numbers that compare: `3.13.4rc1` as 3, 13, 4."""
    parts = ("".join(takewhile(str.isdecimal, part)) for part in text.split("."))
    return [int(part) for part in takewhile(bool, parts)]

"""What every program of a node asks of the machine: its files, its GPUs, its engine, fresh ids."""

import os

from agent.accelerators.accelerator import AcceleratorSource, DriverMissing
from agent.config import Config
from agent.drivers.docker_engine import DockerEngine
from agent.drivers.host import boottime_ms, wall_ms
from agent.drivers.nvml import NvmlAccelerators
from agent.drivers.simulated import SimulatedAccelerators
from protocol.ids import ENTROPY_BYTES, new_id
from protocol.refusal import Fault
from protocol.signing import SigningKey, key_id, public_bytes

KEY_FILE = "node.key"
STORE_FILE = "agent.db"


def fresh_id(kind: str) -> str:
    """Return a fresh id."""
    return new_id(kind, now_ms=wall_ms(), entropy=os.urandom(ENTROPY_BYTES))


async def accelerator_source(config: Config, key: SigningKey) -> AcceleratorSource | None:
    """Return where this node's GPUs come from; None where it has and may simulate none."""
    wanted = config.accelerators
    if wanted.source == "none":
        return None
    if wanted.source in ("auto", "nvml"):
        nvml = NvmlAccelerators(boottime=boottime_ms, library=wanted.nvml_library)
        try:
            await nvml.list_accelerators()
        except DriverMissing:
            if wanted.source == "nvml" or not config.demo:
                return nvml if wanted.source == "nvml" else None
            await nvml.close()
        else:
            return nvml
    return SimulatedAccelerators(
        node=key_id(public_bytes(key)),
        count=wanted.simulated_count,
        model=wanted.simulated_model,
        memory_mib=wanted.simulated_memory_mib,
        seed=0,
        boottime=boottime_ms,
    )


async def engine_version(engine: DockerEngine) -> str:
    """Return the engine's name and version, or that it does not answer."""
    try:
        return await engine.version()
    except Fault:
        return "no container engine answers"

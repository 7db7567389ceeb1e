"""Runs work on a source of GPUs that sees the stub's machine."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from agent.accelerators.accelerator import Sample
from agent.drivers.nvml import NvmlAccelerators
from tests.fakes.nvml.state import NvmlStub

NOW_MS = 1_795_000_000_000
SHORT_DEADLINE_MS = 250
WELL_S_MAX = 5
NewMachine = Callable[[int], NvmlStub]
T = TypeVar("T")


def run(
    machine: NvmlStub,
    work: Callable[[NvmlAccelerators], Coroutine[Any, Any, T]],
    *,
    deadline_ms: int = 5_000,
    boottime: Callable[[], int] = lambda: 0,
) -> T:
    """What `work` returns on a source of its own, which is closed after."""

    async def whole() -> T:
        source = NvmlAccelerators(
            boottime=boottime, library=str(machine.library), deadline_ms=deadline_ms
        )
        try:
            return await work(source)
        finally:
            await source.close()

    return asyncio.run(whole())


async def listed_and_read(source: NvmlAccelerators) -> tuple[Sample, ...]:
    await source.list_accelerators()
    return await source.read_samples(NOW_MS)


async def until_well(source: NvmlAccelerators) -> tuple[Sample, ...]:
    """The first samples without a loss: hung calls return some milliseconds after they may."""
    async with asyncio.timeout(WELL_S_MAX):
        while True:
            samples = await source.read_samples(NOW_MS)
            if not any(sample.loss for sample in samples):
                return samples
            await asyncio.sleep(0.005)

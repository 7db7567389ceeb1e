"""Loops: at every period, at once when woken, and on after a failure."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import pytest

from agent.background import Loop
from agent.store.database import StoreFailed, StoreFull

HOUR_MS = 3_600_000


def test_a_pass_is_reported() -> None:
    loop = _loop(_lines("all well"))

    asyncio.run(loop.once())

    status = loop.status
    assert (status.runs, status.failures_in_row, status.report) == (1, 0, "all well")
    assert status.took_ms == 1


def test_a_failure_is_counted_and_the_next_pass_clears_it() -> None:
    loop = _loop(_lines(ValueError("no"), StoreFull("disk full"), "all well"))

    asyncio.run(loop.once())
    assert loop.status.report == "ValueError: no"
    asyncio.run(loop.once())
    assert (loop.status.failures_in_row, loop.status.report) == (2, "disk full")
    asyncio.run(loop.once())

    assert loop.status.failures_in_row == 0


def test_a_failed_store_ends_everything() -> None:
    loop = _loop(_lines(StoreFailed("fsync")))

    with pytest.raises(StoreFailed):
        asyncio.run(loop.run())


def test_a_wake_up_during_a_pass_is_not_lost() -> None:
    async def scene() -> int:
        begun, go_on = asyncio.Event(), asyncio.Event()
        passes = 0

        async def work() -> str:
            nonlocal passes
            passes += 1
            begun.set()
            await go_on.wait()
            return ""

        loop = _loop(work)
        task = asyncio.create_task(loop.run())
        await begun.wait()
        begun.clear()
        loop.wake()
        go_on.set()
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return passes

    assert asyncio.run(scene()) == 2


def test_the_period_is_asked_after_each_pass() -> None:
    async def scene() -> None:
        periods = iter([0, 0, HOUR_MS])
        third = asyncio.Event()
        passes = count(1)

        async def work() -> str:
            if next(passes) == 3:
                third.set()
            return ""

        loop = Loop("test", work, period_ms=lambda: next(periods), boottime=lambda: 0)
        task = asyncio.create_task(loop.run())
        await third.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scene())


def _lines(*outcomes: str | Exception) -> Callable[[], Awaitable[str]]:
    left = iter(outcomes)

    async def work() -> str:
        outcome = next(left)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return work


def _loop(work: Callable[[], Awaitable[str]]) -> Loop:
    ticks = count()
    return Loop("test", work, period_ms=HOUR_MS, boottime=lambda: next(ticks))

"""Calls that may hang."""

import asyncio
import threading
from functools import partial

import pytest

from agent.drivers.driver_thread import THREADS_LEFT_BEHIND_MAX, CallHung, DriverThread

DEADLINE_MS = 250


def test_a_call_returns_what_the_function_returns_or_raises() -> None:
    async def calls() -> None:
        thread = DriverThread("test", deadline_ms=5_000)

        assert await thread.call(lambda: 7) == 7
        with pytest.raises(KeyError):
            await thread.call(lambda: dict[str, int]()["absent"])
        assert await thread.call(threading.current_thread) is not threading.main_thread()
        thread.close()

    asyncio.run(calls())


def test_a_call_that_hangs_is_left_behind_and_the_next_one_runs() -> None:
    async def calls() -> None:
        thread = DriverThread("test", deadline_ms=DEADLINE_MS)
        gate = threading.Event()

        with pytest.raises(CallHung) as hung:
            await thread.call(gate.wait)
        assert not hung.value.is_over()
        assert await thread.call(lambda: 7) == 7

        gate.set()
        async with asyncio.timeout(5):
            while not hung.value.is_over():
                await asyncio.sleep(0.001)
        thread.close()

    asyncio.run(calls())


def test_only_so_many_threads_are_left_behind_and_they_come_back() -> None:
    async def calls() -> None:
        thread = DriverThread("test", deadline_ms=DEADLINE_MS)
        gate = threading.Event()
        for _ in range(THREADS_LEFT_BEHIND_MAX):
            with pytest.raises(CallHung):
                await thread.call(gate.wait)
        before = threading.active_count()

        with pytest.raises(CallHung, match="4 calls have not returned") as refused:
            await thread.call(lambda: 7)
        assert threading.active_count() == before
        assert refused.value.is_over()

        gate.set()
        async with asyncio.timeout(5):
            while threading.active_count() > before - THREADS_LEFT_BEHIND_MAX:
                await asyncio.sleep(0.001)
        assert await thread.call(lambda: 7) == 7
        thread.close()

    asyncio.run(calls())


def test_calls_of_two_callers_take_turns() -> None:
    async def calls() -> list[int]:
        thread = DriverThread("test", deadline_ms=5_000)
        order: list[int] = []
        await asyncio.gather(*(thread.call(partial(order.append, n)) for n in range(20)))
        thread.close()
        return order

    assert asyncio.run(calls()) == list(range(20))

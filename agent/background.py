"""Loop: one background work, run every period and at once when woken, never twice at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent.store.database import StoreFailed, StoreFull
from protocol.clock import SECOND_MS, Clock

log = logging.getLogger(__name__)

Work = Callable[[], Awaitable[str]]
"""Does one pass and returns a line about it."""


@dataclass(frozen=True, slots=True)
class Status:
    """How a loop stands, for the status page.

    failures_in_row  0 after a pass that went well
    report           the line of the last pass, or why it failed
    """

    name: str
    runs: int
    failures_in_row: int
    report: str
    ended_boot_ms: int | None
    took_ms: int | None


class Loop:
    """A work with its period.  Its task lives in the TaskGroup of node.py.

    A wake-up that comes during a pass starts another right after it: what it announces may have
    come too late for the pass.  A pass that fails is tried again at the next period, except when
    the store has failed: then nothing may go on, and the agent ends to be started afresh.
    """

    def __init__(
        self,
        name: str,
        work: Work,
        *,
        period_ms: int | Callable[[], int],
        boottime: Clock,
    ) -> None:
        """Run `work` under `name`; a period that is a function is asked after each pass."""
        self._name = name
        self._work = work
        self._period_ms = period_ms if callable(period_ms) else lambda: period_ms
        self._boottime = boottime
        self._woken = asyncio.Event()
        self._status = Status(
            name=name, runs=0, failures_in_row=0, report="", ended_boot_ms=None, took_ms=None
        )

    @property
    def status(self) -> Status:
        """Return how the loop stands."""
        return self._status

    def wake(self) -> None:
        """Have a pass begin at once, or right after the one under way."""
        self._woken.set()

    async def run(self) -> None:
        """Do passes until cancelled."""
        while True:
            # Cleared before the pass looks, so that no wake-up during it is lost.
            self._woken.clear()
            await self.once()
            try:
                async with asyncio.timeout(self._period_ms() / SECOND_MS):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def once(self) -> None:
        """Do one pass and note how it went."""
        began_ms = self._boottime()
        failures = 0
        try:
            report = await self._work()
        except StoreFull as full:
            report, failures = str(full), self._status.failures_in_row + 1
            log.error("background work failed", extra={"loop": self._name, "why": report})
        except StoreFailed:
            raise
        except Exception as error:
            report, failures = f"{type(error).__name__}: {error}", self._status.failures_in_row + 1
            log.exception("background work failed", extra={"loop": self._name})
        ended_ms = self._boottime()
        self._status = Status(
            name=self._name,
            runs=self._status.runs + 1,
            failures_in_row=failures,
            report=report,
            ended_boot_ms=ended_ms,
            took_ms=ended_ms - began_ms,
        )

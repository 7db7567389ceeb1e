"""The background work that writes down what was used."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from agent.metering.operations import Tick, Ticked, tick
from agent.metering.timekeeper import NodeClock
from agent.store.database import Db, StoreFull
from agent.store.thread import Store
from protocol.clock import SECOND_MS, Clock
from protocol.price import Price

log = logging.getLogger(__name__)


class Room(Protocol):
    """Room on the disk that can be given up: `agent/drivers/ballast.py:Ballast`."""

    def hold(self) -> bool:
        """Keep the room if there is enough; whether it is kept now."""

    def release(self) -> bool:
        """Give the room up; whether there was any to give."""


class Metering:
    """One tick at each call: at every period, and whenever a run or a lease has changed."""

    def __init__(
        self,
        store: Store,
        clock: NodeClock,
        *,
        running: Clock,
        period_ms: int,
        heartbeat_ms: int,
        prices: Callable[[Db], Sequence[Price]],
        skew: Callable[[], int],
        on_uncovered: Callable[[], None],
        room: Room | None = None,
    ) -> None:
        """Meter into `store` by `clock`.

        running       the clock that does not run while the machine is suspended
        heartbeat_ms  the longest time between two signs of life in the usage log
        prices        those in the desired state that is held
        skew          this node's time minus the registry's, in ms
        on_uncovered  called when no lease covers a run any more
        room          what is given up when the disk is full, so that metering can go on to its end
        """
        self._store = store
        self._clock = clock
        self._running = running
        self._period_ms = period_ms
        self._heartbeat_ms = heartbeat_ms
        self._prices = prices
        self._skew = skew
        self._on_uncovered = on_uncovered
        self._room = room
        self._full_since_ms: int | None = None
        self._lost = False
        self._beat_boot_ms: int | None = None

    async def __call__(self) -> str:
        """Return a line for the status page."""
        boot_ms = self._clock.boot_ms()
        moment = Tick(
            time=self._clock.state,
            now_ms=self._clock.now_ms(),
            boot_ms=boot_ms,
            running_ms=self._running(),
            period_ms=self._period_ms,
            heartbeat=self._beat_is_due(boot_ms),
            skew_ms=self._skew(),
            lost=self._lost,
        )
        try:
            ticked = await self._store.run(self._tick, moment)
        except StoreFull:
            self._note_full(moment.now_ms)
            raise
        self._lost = False
        if self._room is None or self._room.hold():
            self._full_since_ms = None
        if moment.heartbeat:
            self._beat_boot_ms = boot_ms
        if ticked.uncovered:
            log.warning("runs without cover", extra={"allocations": list(ticked.uncovered)})
            self._on_uncovered()
        return (
            f"{ticked.entries} entries of {ticked.runs} runs and {ticked.calls} calls, "
            f"{ticked.leases_closed} leases closed, {len(ticked.uncovered)} runs without cover"
        )

    def unwritten(self) -> str | None:
        """Return since when the disk has no room for usage, in a sentence; None while it has."""
        if self._full_since_ms is None:
            return None
        since_s = (self._clock.now_ms() - self._full_since_ms) // SECOND_MS
        lost = "what is used is not written down and not billed" if self._lost else "it is written"
        return f"The disk has had no room for usage for {since_s} s; {lost}."

    def _note_full(self, now_ms: int) -> None:
        """Give the kept room up; without any, what is used from here on is lost."""
        if self._full_since_ms is None:
            self._full_since_ms = now_ms
        freed = self._room is not None and self._room.release()
        self._lost = self._lost or not freed

    def _tick(self, db: Db, moment: Tick) -> Ticked:
        return tick(db, moment, self._prices(db))

    def _beat_is_due(self, boot_ms: int) -> bool:
        """Whether the log would be silent for too long if the sign waited for the next tick."""
        if self._beat_boot_ms is None:
            return True
        return boot_ms - self._beat_boot_ms + self._period_ms > self._heartbeat_ms

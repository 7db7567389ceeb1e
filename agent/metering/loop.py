"""The background work that writes down what was used."""

import logging
from collections.abc import Callable, Sequence

from agent.metering.operations import Tick, Ticked, tick
from agent.metering.timekeeper import NodeClock
from agent.store.database import Db
from agent.store.thread import Store
from protocol.clock import Clock
from protocol.price import Price

log = logging.getLogger(__name__)


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
    ) -> None:
        """Meter into `store` by `clock`.

        running       the clock that does not run while the machine is suspended
        heartbeat_ms  the longest time between two signs of life in the usage log
        prices        those in the desired state that is held
        skew          this node's time minus the registry's, in ms
        on_uncovered  called when no lease covers a run any more
        """
        self._store = store
        self._clock = clock
        self._running = running
        self._period_ms = period_ms
        self._heartbeat_ms = heartbeat_ms
        self._prices = prices
        self._skew = skew
        self._on_uncovered = on_uncovered
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
        )
        ticked = await self._store.run(self._tick, moment)
        if moment.heartbeat:
            self._beat_boot_ms = boot_ms
        if ticked.uncovered:
            log.warning("runs without cover", extra={"allocations": list(ticked.uncovered)})
            self._on_uncovered()
        return (
            f"{ticked.entries} entries of {ticked.runs} runs and {ticked.calls} calls, "
            f"{ticked.leases_closed} leases closed, {len(ticked.uncovered)} runs without cover"
        )

    def _tick(self, db: Db, moment: Tick) -> Ticked:
        return tick(db, moment, self._prices(db))

    def _beat_is_due(self, boot_ms: int) -> bool:
        """Whether the log would be silent for too long if the sign waited for the next tick."""
        if self._beat_boot_ms is None:
            return True
        return boot_ms - self._beat_boot_ms + self._period_ms > self._heartbeat_ms

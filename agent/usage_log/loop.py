"""The background work that computes the usage log again, part by part, from its first entry on.

A disk may change what was written and cosigned long ago, and nobody would read it until a dispute
needs it.  So a round over everything begins with the agent and again every day; what it has
audited is kept in memory alone, for an agent that starts anew trusts nothing of before.
"""

import logging
from collections.abc import Callable

from agent.store.thread import Store
from agent.usage_log.operations import verify_part
from protocol.clock import DAY_MS, SECOND_MS
from protocol.merkle import EMPTY_FRONTIER

log = logging.getLogger(__name__)

PART_PERIOD_MS = SECOND_MS
"""Between two parts of a round, so that metering and calls get the store in between."""

ROUND_PERIOD_MS = DAY_MS


class LogRounds:
    """One pass: audit the next part, at most READ_ENTRIES_MAX entries in one unit of work.

    on_broken  called when a fault was found; the log is parked by then
    """

    def __init__(self, store: Store, *, on_broken: Callable[[], None]) -> None:
        self._store = store
        self._on_broken = on_broken
        self._audited = EMPTY_FRONTIER

    async def __call__(self) -> str:
        """Return a line for the status page."""
        self._audited, report = await self._store.run(verify_part, self._audited)
        if report is None:
            return f"{self._audited.size} entries audited so far"
        self._audited = EMPTY_FRONTIER
        if report.fault is None:
            return f"{report.size} entries intact"
        log.error("usage log broken", extra={"why": report.fault, "index": report.first_wrong})
        self._on_broken()
        return report.fault

    def period_ms(self) -> int:
        """Return how long the next part waits: a moment within a round, a day after one."""
        return PART_PERIOD_MS if self._audited.size else ROUND_PERIOD_MS

"""What a workload is told before it ends for want of money, in a file that it can read.

The file is `notice.json` in /run/outstation, a read-only mount of a folder of the node's own; it is
there from ten minutes before the cover of the run ends, and gone when the cover was extended.
"""

import json
from collections.abc import Mapping
from typing import Protocol

from agent.allocations.plan import STOP_GRACE_MS
from agent.allocations.run import LIVE_PHASES, Run
from protocol.clock import MINUTE_MS, SECOND_MS

MOUNT_PATH = "/run/outstation"
NOTICE_NAME = "notice.json"

NOTICE_MS = 10 * MINUTE_MS
"""How long before its end a run is told of it."""


class Notices(Protocol):
    """Files that workloads can read; each has a folder of its own."""

    def prepare(self, allocation_id: str) -> None:
        """Make the folder, empty; one that is there stays as it is."""

    def put(self, allocation_id: str, text: str | None) -> bool:
        """Put this notice there, or none; False if it stood so already."""

    def keep_only(self, allocation_ids: frozenset[str]) -> None:
        """Remove the folders of all others."""


def ending(run: Run, cover_ends_at_ms: int | None, *, now_ms: int) -> int | None:
    """Return when a run ends for want of cover, if that is near enough to be told; else None.

    cover_ends_at_ms  None where nothing is known of what covers it
    """
    live = run.known and run.phase in LIVE_PHASES and run.phase != "stopping"
    if not live or cover_ends_at_ms is None or cover_ends_at_ms - now_ms > NOTICE_MS:
        return None
    # To the half minute: the figure wavers with every tick that is spent.
    return cover_ends_at_ms - cover_ends_at_ms % (30 * SECOND_MS)


def notice_text(ends_at_ms: int) -> str:
    """Return the file."""
    said: Mapping[str, object] = {
        "event": "balance_ends",
        "reason": "The balance of the organization is nearly used up.",
        "ends_at_ms": ends_at_ms,
        "signal": "SIGTERM",
        "grace_s": STOP_GRACE_MS // SECOND_MS,
    }
    return json.dumps(said, sort_keys=True) + "\n"


def notice_detail() -> str:
    """Return what the workload's page says meanwhile."""
    return "The balance covers less than ten minutes more; then it is asked to stop."

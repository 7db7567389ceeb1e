"""A log that goes on after a loss: of the disk, or of what was written since an old copy of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agent.usage_log.stream import StreamEnd, StreamKey, advance
from protocol.enrolment import LostLog
from protocol.log_events import EVERYTHING, EpochBegun, Gap, origin_parts
from protocol.usage import Closed, Entry, Opened

DISK_LOST = "disk_lost"
RECORD_LOST = "record_lost"


def begun_again(epoch: int, lost: LostLog) -> list[Entry]:
    """Return the first entries of a log whose predecessor was lost."""
    begun = EpochBegun(
        epoch=epoch,
        origin_parts=origin_parts(lost.origin),
        size=lost.size,
        root=lost.root,
        at_ms=lost.until_at_ms,
    )
    if lost.from_at_ms >= lost.until_at_ms:
        return [begun]
    return [begun, Gap(EVERYTHING, lost.from_at_ms, lost.until_at_ms, DISK_LOST)]


def common_prefix(own: Iterable[bytes], theirs: Iterable[bytes]) -> int:
    """Return how many entries agree before the first that differs."""
    agreeing = 0
    for one, other in zip(own, theirs, strict=False):
        if one != other:
            break
        agreeing += 1
    return agreeing


@dataclass(slots=True)
class Replayed:
    """What a whole log comes to: its streams, and what it says of allocations.

    opened  the last opening of each allocation
    closed  of those, the ones that were closed after it, and when
    """

    streams: dict[StreamKey, StreamEnd] = field(default_factory=dict)
    opened: dict[str, Opened] = field(default_factory=dict)
    closed: dict[str, int] = field(default_factory=dict)
    last_ms: int = 0

    def add(self, entry: Entry) -> None:
        """Take one entry in."""
        advance(self.streams, entry)
        match entry:
            case Opened():
                self.opened[entry.allocation_id] = entry
                self.closed.pop(entry.allocation_id, None)
            case Closed():
                self.closed[entry.allocation_id] = entry.at_ms
        self.last_ms = max(self.last_ms, getattr(entry, "end_ms", getattr(entry, "at_ms", 0)))

    def metered_to_ms(self, allocation_id: str) -> int:
        """Return up to when the log has counted an allocation that it opened."""
        ends = [end.last_end_ms for key, end in self.streams.items() if key.owner == allocation_id]
        return max([self.opened[allocation_id].at_ms, *ends])


def left_open(replayed: Replayed, running: Mapping[str, str]) -> list[Closed]:
    """Return the closings of allocations that nothing here goes on with.

    running  allocation to container, of the runs that are known here
    """
    return [
        Closed(name, replayed.metered_to_ms(name), RECORD_LOST)
        for name, opened in sorted(replayed.opened.items())
        if name not in replayed.closed and running.get(name) != opened.container_id
    ]

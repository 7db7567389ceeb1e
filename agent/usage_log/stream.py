"""A stream: the usage of one owner by one meter on one SKU, an unbroken chain of records."""

from collections.abc import Iterable, Mapping, MutableMapping
from typing import NamedTuple

from protocol.log_events import Gap
from protocol.usage import GPU_MS, TIME_METERS, Closed, Entry, Opened, Use


class StreamKey(NamedTuple):
    """What names a stream: its owner (an allocation or an API key), its meter, its SKU."""

    owner: str
    meter: str
    sku: str


class StreamEnd(NamedTuple):
    """Where a stream stands: from when its next record goes on, and its total so far.

    A record of a time meter goes on where the last one ended.  Opening or closing its allocation
    moves that moment on, as does a gap: what lies between two attempts, or was lost, is nobody's.
    """

    last_end_ms: int
    cumulative: int


def stream_of(use: Use) -> StreamKey:
    """Return the stream that a record belongs to."""
    return StreamKey(owner=use.allocation_id, meter=use.meter, sku=use.sku)


def break_of(before: StreamEnd | None, use: Use) -> str | None:
    """Return what is wrong with `use` as the next record of its stream, or None.

    A time meter goes on where it ended; a count may leave time out, but never goes back.
    """
    total = before.cumulative if before else 0
    if use.cumulative != total + use.quantity:
        return f"its cumulative count is {use.cumulative}, not {total} + {use.quantity}"
    if before is None:
        return None
    if use.meter in TIME_METERS and use.begin_ms != before.last_end_ms:
        return f"it begins at {use.begin_ms}, not where its stream ended, {before.last_end_ms}"
    if use.end_ms < before.last_end_ms:
        return f"it ends at {use.end_ms}, before its stream did, {before.last_end_ms}"
    return None


def streams_touched(entries: Iterable[Entry]) -> set[StreamKey]:
    """Return the streams that entries move on, as far as entries tell."""
    return {stream_of(entry) for entry in entries if isinstance(entry, Use)} | {
        StreamKey(owner=entry.allocation_id, meter=GPU_MS, sku=entry.sku)
        for entry in entries
        if isinstance(entry, Opened)
    }


def advance(ends: MutableMapping[StreamKey, StreamEnd], entry: Entry) -> str | None:
    """Move the streams of one entry on; return what is wrong with it as their next, or None."""
    match entry:
        case Use():
            key = stream_of(entry)
            wrong = break_of(ends.get(key), entry)
            ends[key] = StreamEnd(entry.end_ms, entry.cumulative)
            return wrong
        case Opened() | Closed():
            _move_time(ends, entry.allocation_id, entry.at_ms)
        case Gap():
            _move_time(ends, entry.allocation_id, entry.end_ms)
    return None


def advanced(
    streams: Mapping[StreamKey, StreamEnd], entries: Iterable[Entry]
) -> dict[StreamKey, StreamEnd]:
    """Return where `streams` stand after the entries; one that does not fit is a writer's bug."""
    ends = dict(streams)
    for entry in entries:
        wrong = advance(ends, entry)
        assert wrong is None, f"{entry}: {wrong}"
    return ends


def _move_time(ends: MutableMapping[StreamKey, StreamEnd], owner: str, to_ms: int) -> None:
    """Have the time meters of an owner go on from `to_ms`, if they had not come further."""
    for key, end in ends.items():
        if key.owner == owner and key.meter in TIME_METERS:
            ends[key] = StreamEnd(max(end.last_end_ms, to_ms), end.cumulative)

"""A stream: the usage of one owner by one meter on one SKU, an unbroken chain of records."""

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, replace

from protocol.usage import GPU_MS, TIME_METERS, Closed, Entry, Opened, Use


@dataclass(frozen=True, slots=True)
class StreamKey:
    """What names a stream: its owner (an allocation or an API key), its meter, its SKU."""

    owner: str
    meter: str
    sku: str


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Where a stream stands: from when its next record goes on, and its total so far.

    A record of a time meter goes on where the last one ended.  Opening or closing its allocation
    moves that moment on: what lies between two attempts of one allocation is nobody's time.
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
            wrong = break_of(ends.get(stream_of(entry)), entry)
            ends[stream_of(entry)] = StreamEnd(entry.end_ms, entry.cumulative)
            return wrong
        case Opened() | Closed():
            for key, end in ends.items():
                if key.owner == entry.allocation_id and key.meter in TIME_METERS:
                    later_ms = max(end.last_end_ms, entry.at_ms)
                    ends[key] = replace(end, last_end_ms=later_ms)
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

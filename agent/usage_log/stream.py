"""A stream: the usage of one owner by one meter on one SKU, an unbroken chain of records."""

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.usage import TIME_METERS, Use


@dataclass(frozen=True, slots=True)
class StreamKey:
    """What names a stream: its owner (an allocation or an API key), its meter, its SKU."""

    owner: str
    meter: str
    sku: str


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Where a stream stands: the end of its last record and its total so far."""

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


def advanced(streams: Mapping[StreamKey, StreamEnd], uses: list[Use]) -> dict[StreamKey, StreamEnd]:
    """Return where the streams of `uses` end; a record that does not fit is the writer's bug."""
    ends: dict[StreamKey, StreamEnd] = {}
    for use in uses:
        key = stream_of(use)
        wrong = break_of(ends.get(key) or streams.get(key), use)
        assert wrong is None, f"{key}: {wrong}"
        ends[key] = StreamEnd(last_end_ms=use.end_ms, cumulative=use.cumulative)
    return ends

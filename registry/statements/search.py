"""Where in a log the first and the last record of a line stand.

A cumulative count grows with every record that counts anything, so the record at which a stream
reaches a count is one and no other.  Time only says where to begin looking: a log is in order of
time but for what was written late, so the search goes outward from there, block by block.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from registry.statements.segments import Segment

BLOCK_ENTRIES = 256

Block = Callable[[int], Sequence[bytes]]
"""Return the entries of block `number`: [number, number + 1) * BLOCK_ENTRIES of the log."""

Fields = Mapping[str, int | str]


@dataclass(frozen=True, slots=True)
class Ends:
    """The places of the first and the last record of a segment."""

    first: int
    last: int


class RecordMissing(Exception):
    """A log that was accepted holds no such record: what is stored was damaged."""


def find_ends(segments: Iterable[Segment], *, size: int, block: Block) -> list[Ends]:
    """Return where the records of each segment of one log of `size` entries stand."""
    read: dict[int, list[Fields]] = {}

    def records(number: int) -> list[Fields]:
        if number not in read:
            read[number] = [msgspec.json.decode(entry) for entry in block(number)]
        return read[number]

    blocks = -(-size // BLOCK_ENTRIES)
    return [
        Ends(
            first=_place(segment, segment.first_hour_ms, records, blocks, _is_first),
            last=_place(segment, segment.last_hour_ms, records, blocks, _is_last),
        )
        for segment in segments
    ]


def _place(
    segment: Segment,
    hour_ms: int,
    records: Callable[[int], list[Fields]],
    blocks: int,
    is_wanted: Callable[[Segment, Fields], bool],
) -> int:
    for number in _outward(_about(hour_ms, records, blocks), blocks):
        for at, record in enumerate(records(number)):
            if is_wanted(segment, record):
                return number * BLOCK_ENTRIES + at
    raise RecordMissing(f"{segment.stream} never counts from {segment.before} to {segment.after}")


def _is_first(segment: Segment, record: Fields) -> bool:
    quantity = record.get("q", 0)
    return (
        isinstance(quantity, int)
        and quantity > 0
        and record["cum"] == segment.before + quantity
        and _is_of(segment, record)
    )


def _is_last(segment: Segment, record: Fields) -> bool:
    return (
        record.get("cum") == segment.after and record.get("q", 0) != 0 and _is_of(segment, record)
    )


def _is_of(segment: Segment, record: Fields) -> bool:
    stream = segment.stream
    return (
        record.get("k") == "use"
        and record["alc"] == stream.owner_id
        and record["m"] == stream.meter
        and record["sku"] == stream.sku
    )


def _about(hour_ms: int, records: Callable[[int], list[Fields]], blocks: int) -> int:
    """Return the last block that begins before an hour does, by its first entry with a time."""
    low, high = 0, blocks - 1
    while low < high:
        middle = (low + high + 1) // 2
        if _time_of(records(middle)) <= hour_ms:
            low = middle
        else:
            high = middle - 1
    return low


def _time_of(records: Iterable[Fields]) -> int:
    for record in records:
        for name in ("t1", "t"):
            at_ms = record.get(name)
            if isinstance(at_ms, int):
                return at_ms
    return 0


def _outward(begin: int, blocks: int) -> Iterator[int]:
    yield begin
    for distance in range(1, blocks):
        if begin + distance < blocks:
            yield begin + distance
        if begin - distance >= 0:
            yield begin - distance

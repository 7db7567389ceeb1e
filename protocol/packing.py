"""Entries in few bytes: records by the column, anything else as it is.

Most entries of a batch are `use` records of a few streams that differ in four numbers, and each
follows from the one before.  A *run* states once what they share and then a list per number.
Unpacking gives back the very bytes that were packed, so nothing is taken on trust: the root that
the node signed is over those bytes.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Annotated

import msgspec
from msgspec import Meta

from protocol.canonical import ENTRY_BYTES_MAX, INTEGER_LIMIT, STRING_BYTES_MAX, TEXT
from protocol.refusal import LogRefused

ENTRIES_MAX = 4096
"""In one batch, or in what is stored as one piece of a log."""

TEXT_PATTERN = re.compile(TEXT)
COUNT = "(0|[1-9][0-9]{0,15})"
USE_PATTERN = re.compile(
    rf'\{{"alc":"({TEXT})","cum":{COUNT},(?:"det":"({TEXT})",)?"k":"use","lse":{COUNT},'
    rf'"m":"({TEXT})","prj":"({TEXT})","q":{COUNT},"sku":"({TEXT})","t0":{COUNT},"t1":{COUNT},'
    rf'"ten":"({TEXT})","v":1\}}'.encode()
)

Text = Annotated[str, Meta(min_length=1, max_length=STRING_BYTES_MAX)]
Count = Annotated[int, Meta(ge=0, lt=INTEGER_LIMIT)]
Column = Annotated[list[int], Meta(min_length=1, max_length=ENTRIES_MAX)]
Verbatim = Annotated[bytes, Meta(max_length=4 * ENTRY_BYTES_MAX)]
"""More than an entry may have, so that one that is too large is refused by its own name."""


class Run(msgspec.Struct, frozen=True):
    """Records of one stream under one lease, each cumulative count going on from the one before.

    before      the stream's cumulative count before the first
    begin_ms    when the first begins
    places      where the first stands among the entries, then how much further each other does
    pauses      ms from the end of the one before to the begin of each; 0 for the first
    widths      ms from its begin to its end
    rows_roots  their `det`, of all of them or of none
    """

    allocation_id: Text
    tenant_id: Text
    project_id: Text
    sku: Text
    meter: Text
    lease_id: Count
    before: Count
    begin_ms: Count
    places: Column
    pauses: Column
    widths: Column
    quantities: Column
    rows_roots: Annotated[list[Text], Meta(max_length=ENTRIES_MAX)] = []


class PackedEntries(msgspec.Struct, frozen=True):
    """`count` entries: those in no run stand as they are in `others`, by their place."""

    count: Annotated[int, Meta(ge=0, le=ENTRIES_MAX)]
    runs: Annotated[list[Run], Meta(max_length=ENTRIES_MAX)]
    others: Annotated[list[tuple[Count, Verbatim]], Meta(max_length=ENTRIES_MAX)]


@dataclass(frozen=True, slots=True)
class Records:
    """A run with its columns as the records state them."""

    run: Run
    places: Sequence[int]
    begins: Sequence[int]
    ends: Sequence[int]
    quantities: Sequence[int]
    cumulatives: Sequence[int]


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Entries as bytes, and the same by the column; places of `others` are in none of `records`."""

    entries: Sequence[bytes]
    records: Sequence[Records]
    others: Sequence[int]


@dataclass(slots=True)
class _Growing:
    """A run that may go on."""

    run: Run
    place: int
    end_ms: int
    cumulative: int


@dataclass(slots=True)
class _Packer:
    """Runs and other entries so far; `open` are the runs that may go on, by what they share."""

    runs: list[Run] = field(default_factory=list)
    others: list[tuple[int, bytes]] = field(default_factory=list)
    open: dict[tuple[bytes, ...], _Growing] = field(default_factory=dict)

    def add(self, place: int, entry: bytes) -> None:
        match = USE_PATTERN.fullmatch(entry)
        if match is None or not self._use(place, match.groups(b"")):
            self.others.append((place, entry))

    def _use(self, place: int, groups: Sequence[bytes]) -> bool:
        """Add a record to its run; False, and nothing done, where a number of it is too large."""
        owner, cum, root, lease, meter, project, count, sku, begin, end, tenant = groups
        lease_id, begin_ms, end_ms = int(lease), int(begin), int(end)
        cumulative, quantity = int(cum), int(count)
        largest = max(lease_id, begin_ms, end_ms, cumulative)
        if largest >= INTEGER_LIMIT or quantity > cumulative:
            return False
        shared = (owner, tenant, project, sku, meter, lease, b"det" if root else b"")
        growing = self.open.get(shared)
        if growing is None or growing.cumulative + quantity != cumulative:
            run = Run(
                allocation_id=owner.decode("ascii"),
                tenant_id=tenant.decode("ascii"),
                project_id=project.decode("ascii"),
                sku=sku.decode("ascii"),
                meter=meter.decode("ascii"),
                lease_id=lease_id,
                before=cumulative - quantity,
                begin_ms=begin_ms,
                places=[],
                pauses=[],
                widths=[],
                quantities=[],
                rows_roots=[],
            )
            self.runs.append(run)
            growing = self.open[shared] = _Growing(run, 0, begin_ms, cumulative)
        run = growing.run
        run.places.append(place - growing.place)
        run.pauses.append(begin_ms - growing.end_ms)
        run.widths.append(end_ms - begin_ms)
        run.quantities.append(quantity)
        if root:
            run.rows_roots.append(root.decode("ascii"))
        growing.place, growing.end_ms, growing.cumulative = place, end_ms, cumulative
        return True


def packed_entries(entries: Sequence[bytes]) -> PackedEntries:
    """Return the entries packed, none of them empty; unpacked they are the very same bytes."""
    packer = _Packer()
    for place, entry in enumerate(entries):
        packer.add(place, entry)
    return PackedEntries(len(entries), packer.runs, packer.others)


def unpacked_entries(packed: PackedEntries) -> Unpacked:
    """Return the entries; refuse what no entries can have been packed into."""
    entries = [b""] * packed.count
    records = [_records(run, packed.count) for run in packed.runs]
    for one in records:
        for place, entry in zip(one.places, _spelled(one), strict=True):
            entries[place] = entry
    others = []
    for place, entry in packed.others:
        if place >= packed.count or not entry:
            raise _misplaced()
        entries[place] = entry
        others.append(place)
    stated = sum(len(one.places) for one in records) + len(others)
    if stated != packed.count or b"" in entries:
        raise _misplaced()
    return Unpacked(entries, records, sorted(others))


def part(packed: PackedEntries, begin: int, end: int) -> PackedEntries:
    """Return entries [begin, end) of those packed, packed."""
    if begin == 0 and end >= packed.count:
        return packed
    runs = [cut for run in packed.runs if (cut := _cut(run, begin, end)) is not None]
    others = [(place - begin, entry) for place, entry in packed.others if begin <= place < end]
    return PackedEntries(min(end, packed.count) - begin, runs, others)


def between(records: Records, begin: int, end: int) -> Records | None:
    """Return those of a run that stand at places [begin, end), None where none does."""
    first, last = bisect_left(records.places, begin), bisect_left(records.places, end)
    if first == last:
        return None
    one = slice(first, last)
    run = msgspec.structs.replace(
        records.run,
        begin_ms=records.begins[first],
        pauses=records.run.pauses[one],
        widths=records.run.widths[one],
        rows_roots=records.run.rows_roots[one],
    )
    return Records(
        run,
        records.places[one],
        records.begins[one],
        records.ends[one],
        records.quantities[one],
        records.cumulatives[one],
    )


def joined(pieces: Sequence[Unpacked]) -> Unpacked:
    """Return entries that follow each other as one."""
    if len(pieces) == 1:
        return pieces[0]
    entries: list[bytes] = []
    records: list[Records] = []
    others: list[int] = []
    for piece in pieces:
        at = len(entries)
        entries += piece.entries
        records += [
            replace(one, places=[at + place for place in one.places]) for one in piece.records
        ]
        others += [at + place for place in piece.others]
    return Unpacked(entries, records, others)


def _cut(run: Run, begin: int, end: int) -> Run | None:
    places = list(accumulate(run.places))
    first, last = bisect_left(places, begin), bisect_left(places, end)
    if first == last:
        return None
    begin_ms = run.begin_ms + sum(run.pauses[: first + 1]) + sum(run.widths[:first])
    return msgspec.structs.replace(
        run,
        before=run.before + sum(run.quantities[:first]),
        begin_ms=begin_ms,
        places=[places[first] - begin, *run.places[first + 1 : last]],
        pauses=[0, *run.pauses[first + 1 : last]],
        widths=run.widths[first:last],
        quantities=run.quantities[first:last],
        rows_roots=run.rows_roots[first:last],
    )


def _records(run: Run, count: int) -> Records:
    places = list(accumulate(run.places))
    width = len(places)
    columns = (run.pauses, run.widths, run.quantities, run.rows_roots or run.places)
    if any(len(column) != width for column in columns):
        raise LogRefused("batch_malformed", "The columns of a run differ in length.")
    if not 0 <= run.places[0] <= places[-1] < count or min(run.places[1:], default=1) < 1:
        raise _misplaced()
    steps = [0] * (2 * width)
    steps[0::2], steps[1::2] = run.pauses, run.widths
    times = list(accumulate(steps, initial=run.begin_ms))
    cumulatives = list(accumulate(run.quantities, initial=run.before))
    if (
        min(run.quantities) < 0
        or min(times) < 0
        or max(times) >= INTEGER_LIMIT
        or cumulatives[-1] >= INTEGER_LIMIT
    ):
        raise LogRefused("entry_out_of_range", "A record has a number below 0, or of 2^53 or more.")
    return Records(run, places, times[1::2], times[2::2], run.quantities, cumulatives[1:])


def _spelled(records: Records) -> list[bytes]:
    """Return the bytes of each record: canonical, since numbers have one spelling only."""
    run = records.run
    names = (run.allocation_id, run.meter, run.project_id, run.sku, run.tenant_id)
    if not all(TEXT_PATTERN.fullmatch(name) for name in (*names, *run.rows_roots)):
        raise LogRefused("entry_not_canonical", "A record holds text that no entry may hold.")
    owner, meter, project, sku, tenant = (name.replace("%", "%%") for name in names)
    root = '"det":"%b",' if run.rows_roots else ""
    form = (
        f'{{"alc":"{owner}","cum":%d,{root}"k":"use","lse":{run.lease_id},"m":"{meter}",'
        f'"prj":"{project}","q":%d,"sku":"{sku}","t0":%d,"t1":%d,"ten":"{tenant}","v":1}}'
    ).encode("ascii")
    numbers = (records.quantities, records.begins, records.ends)
    if not run.rows_roots:
        rows = zip(records.cumulatives, *numbers, strict=True)
        return [form % row for row in rows]
    roots = [root.encode("ascii") for root in run.rows_roots]
    return [form % row for row in zip(records.cumulatives, roots, *numbers, strict=True)]


def _misplaced() -> LogRefused:
    return LogRefused("batch_malformed", "Packed entries leave places out or take some twice.")

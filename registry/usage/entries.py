"""The entries of a batch, read: records by the column, any other entry as what it says.

Whatever a single entry may not say is refused by `protocol.usage.read_entry`, which alone knows the
names; columns that a few comparisons show to be right are not read entry by entry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol.clock import HOUR_MS
from protocol.log_events import HASH_PATTERN
from protocol.packing import Records, Unpacked, between, packed_entries, unpacked_entries
from protocol.refusal import LogRefused
from protocol.usage import (
    INTERVAL_MS_MAX,
    METERS,
    TIME_METERS,
    Entry,
    Use,
    quantity_max,
    read_entry,
)


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """The entries of a batch.

    raw      their bytes, in the order of the log
    records  the `use` records, by the column
    others   those of any other kind, by their place in order
    """

    first_index: int
    raw: Sequence[bytes]
    records: Sequence[Records]
    others: Mapping[int, Entry]


def read_entries(raw: Sequence[bytes], *, first_index: int) -> ReadBatch:
    """Return entries that came as bytes; the first that breaks a rule is refused with its index."""
    return read_unpacked(unpacked_entries(packed_entries(raw)), first_index=first_index)


def read_unpacked(unpacked: Unpacked, *, first_index: int) -> ReadBatch:
    """Return entries that were packed; the first that breaks a rule is refused with its index."""
    raw = unpacked.entries
    if not all(map(_are_right, unpacked.records)):
        for at, entry in enumerate(raw):
            _entry(entry, first_index + at)
        raise AssertionError("columns are wrong and no entry of them is")
    others = {at: _entry(raw[at], first_index + at) for at in unpacked.others}
    if any(isinstance(entry, Use) for entry in others.values()):
        # Packed by somebody who leaves records out of their runs, for whatever reason.
        return read_entries(raw, first_index=first_index)
    return ReadBatch(first_index, raw, unpacked.records, others)


def records_between(batch: ReadBatch, begin: int, end: int) -> Sequence[Records]:
    """Return the runs of the entries at places [begin, end), in the order of the log."""
    found = batch.records
    if end - begin < len(batch.raw):
        cuts = (between(one, begin, end) for one in found)
        found = [cut for cut in cuts if cut is not None]
    return sorted(found, key=_first_place)


def entries_between(batch: ReadBatch, begin: int, end: int) -> list[Entry]:
    """Return the entries at places [begin, end), one by one."""
    found = {at: entry for at, entry in batch.others.items() if begin <= at < end}
    for records in records_between(batch, begin, end):
        found |= {place: use_at(records, at) for at, place in enumerate(records.places)}
    return [found[at] for at in range(begin, end)]


def use_at(records: Records, at: int) -> Use:
    """Return one record of a run."""
    run = records.run
    return Use(
        allocation_id=run.allocation_id,
        tenant_id=run.tenant_id,
        project_id=run.project_id,
        sku=run.sku,
        meter=run.meter,
        lease_id=run.lease_id,
        begin_ms=records.begins[at],
        end_ms=records.ends[at],
        quantity=records.quantities[at],
        cumulative=records.cumulatives[at],
        rows_root=run.rows_roots[at] if run.rows_roots else "",
    )


def _are_right(records: Records) -> bool:
    """Whether every record of a run keeps the rules of a single one."""
    run = records.run
    return (
        run.meter in METERS
        and min(run.widths) > 0
        and max(run.widths) <= INTERVAL_MS_MAX
        and max(run.quantities) <= quantity_max(run.meter)
        and (is_within_an_hour(records) or _keep_hours(records))
        and (run.meter not in TIME_METERS or not run.rows_roots)
        and all(map(HASH_PATTERN.fullmatch, run.rows_roots))
    )


def is_within_an_hour(records: Records) -> bool:
    """Whether all records of a run surely lie in one UTC hour; False where a look is needed."""
    first, last = records.begins[0] // HOUR_MS, (records.ends[-1] - 1) // HOUR_MS
    return first == last and min(records.run.pauses) >= 0


def _keep_hours(records: Records) -> bool:
    begins = [at // HOUR_MS for at in records.begins]
    return begins == [(at - 1) // HOUR_MS for at in records.ends]


def _first_place(records: Records) -> int:
    return records.places[0]


def _entry(raw: bytes, index: int) -> Entry:
    try:
        return read_entry(raw)
    except LogRefused as refused:
        raise LogRefused(refused.code, refused.message, index=index) from None

"""The bytes of a batch into entries.

Nearly all entries are `use` records, so those are read together: typed by msgspec, proved to be
canonical by writing them again, and held by the column against the rules of a single record.
Whatever is of another kind, or does not pass, is read by `protocol.usage.read_entry`, which alone
says what is refused and why.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, le, sub
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from protocol.canonical import INTEGER_LIMIT, STRING_BYTES_MAX
from protocol.clock import HOUR_MS
from protocol.log_events import HASH_PATTERN
from protocol.refusal import LogRefused
from protocol.usage import (
    COUNT_MAX,
    INTERVAL_MS_MAX,
    METERS,
    TIME_METERS,
    Entry,
    Use,
    quantity_max,
    read_entry,
)

USE_MARK = b'"k":"use"'
"""Stands in every canonical `use` record and in no other entry: text holds no quotation mark."""

Text = Annotated[str, Meta(min_length=1, max_length=STRING_BYTES_MAX)]
Count = Annotated[int, Meta(ge=0, lt=INTEGER_LIMIT)]


class UseEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A `use` record as it is read here: what `protocol.usage.Use` holds, in canonical order."""

    allocation_id: Text = msgspec.field(name="alc")
    cumulative: Count = msgspec.field(name="cum")
    rows_root: Annotated[str, Meta(max_length=STRING_BYTES_MAX)] = msgspec.field(
        name="det", default=""
    )
    kind: Literal["use"] = msgspec.field(name="k")
    lease_id: Count = msgspec.field(name="lse")
    meter: Text = msgspec.field(name="m")
    project_id: Text = msgspec.field(name="prj")
    quantity: Count = msgspec.field(name="q")
    sku: Text = msgspec.field(name="sku")
    begin_ms: Count = msgspec.field(name="t0")
    end_ms: Count = msgspec.field(name="t1")
    tenant_id: Text = msgspec.field(name="ten")
    version: Literal[1] = msgspec.field(name="v")


Used = Use | UseEntry
"""A record, however it was read."""

ALIKE = attrgetter("allocation_id", "meter", "sku", "lease_id", "tenant_id", "project_id")


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """The entries of a batch, in the order of the log.

    others  those that are no `use` records, by their place
    groups  the `use` records by stream and lease, each group in the order of the log
    """

    first_index: int
    entries: Sequence[UseEntry | Entry]
    others: Mapping[int, Entry]
    groups: Sequence[Sequence[UseEntry]]


_DECODER = msgspec.json.Decoder(UseEntry)
_ENCODER = msgspec.json.Encoder()


def read_entries(raw: Sequence[bytes], *, first_index: int) -> ReadBatch:
    """Return the entries of a batch; the first that breaks a rule is refused with its index."""
    places = [at for at, entry in enumerate(raw) if USE_MARK not in entry]
    uses = _read_uses([entry for entry in raw if USE_MARK in entry] if places else raw)
    if uses is None:
        one_by_one = [_entry(entry, first_index + at) for at, entry in enumerate(raw)]
        uses = [_use_entry(entry) for entry in one_by_one if isinstance(entry, Use)]
    others = {at: _entry(raw[at], first_index + at) for at in places}
    entries: list[UseEntry | Entry] = list(uses)
    for at, entry in others.items():
        entries.insert(at, entry)
    return ReadBatch(first_index, entries, others, alike(uses))


def alike(uses: Iterable[UseEntry]) -> Sequence[Sequence[UseEntry]]:
    """Return the records by stream and lease, each group in the order of the log."""
    groups: dict[tuple[str, ...], list[UseEntry]] = defaultdict(list)
    for use in uses:
        groups[ALIKE(use)].append(use)
    return list(groups.values())


def _read_uses(lines: Sequence[bytes]) -> list[UseEntry] | None:
    """Return the records that lines spell, or None where one of them may break a rule."""
    if not lines:
        return []
    text = b"\n".join((*lines, b""))
    # Text without these is printable ASCII: JSON itself forbids control characters in it.
    if not text.isascii() or b"\\" in text or b"\x7f" in text:
        return None
    try:
        uses = _DECODER.decode_lines(text)
    except msgspec.DecodeError:
        return None
    # No line holds a line break, so that equal bytes mean equal lines.
    if len(uses) != len(lines) or _ENCODER.encode_lines(uses) != text:
        return None
    return uses if _are_right(uses) else None


def _are_right(uses: Sequence[UseEntry]) -> bool:
    """Whether every record keeps the rules of a single one (`protocol.usage.read_entry`)."""
    begins = [use.begin_ms for use in uses]
    ends = [use.end_ms for use in uses]
    counts = [use.quantity for use in uses]
    widths = list(map(sub, ends, begins))
    return (
        min(widths) > 0
        and max(widths) <= INTERVAL_MS_MAX
        and [at // HOUR_MS for at in begins] == [(at - 1) // HOUR_MS for at in ends]
        and all(map(le, counts, [use.cumulative for use in uses]))
        and {use.meter for use in uses} <= METERS
        and (
            max(counts) <= COUNT_MAX or all(use.quantity <= quantity_max(use.meter) for use in uses)
        )
        and all(
            use.meter not in TIME_METERS and HASH_PATTERN.fullmatch(use.rows_root)
            for use in [use for use in uses if use.rows_root]
        )
    )


def _entry(raw: bytes, index: int) -> Entry:
    try:
        return read_entry(raw)
    except LogRefused as refused:
        raise LogRefused(refused.code, refused.message, index=index) from None


def _use_entry(use: Use) -> UseEntry:
    return UseEntry(
        allocation_id=use.allocation_id,
        cumulative=use.cumulative,
        rows_root=use.rows_root,
        kind="use",
        lease_id=use.lease_id,
        meter=use.meter,
        project_id=use.project_id,
        quantity=use.quantity,
        sku=use.sku,
        begin_ms=use.begin_ms,
        end_ms=use.end_ms,
        tenant_id=use.tenant_id,
        version=1,
    )

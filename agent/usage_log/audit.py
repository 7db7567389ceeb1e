"""The whole log computed again: bytes, hashes, streams and signatures; the first fault is named."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.usage_log.log_state import LogState
from agent.usage_log.stream import StreamEnd, StreamKey, advance
from protocol.checkpoint import read_checkpoint
from protocol.merkle import EMPTY_FRONTIER, Frontier, leaf_hash
from protocol.note import cosigned_at_s, is_note_signed
from protocol.refusal import LogRefused
from protocol.usage import read_entry


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One row: its place, the hash noted when it was written, its bytes."""

    index: int
    leaf: bytes
    entry: bytes


@dataclass(frozen=True, slots=True)
class LogReport:
    """What an audit found.

    root         over the entries as they are now, in hex
    first_wrong  index of the first entry that is wrong, where one can be told
    fault        what is wrong, in one sentence; None for an intact log
    """

    origin: str
    size: int
    accepted_size: int
    root: str
    first_wrong: int | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class Keys:
    """Whose signatures stand under a cosigned checkpoint: the node's and the registry's."""

    node: bytes
    witness_name: str
    witnesses: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Fault:
    index: int | None
    why: str


def audit(
    log: LogState,
    entries: Iterable[StoredEntry],
    streams: Mapping[StreamKey, StreamEnd] | None,
    keys: Keys | None,
) -> LogReport:
    """Return what stands of the log.

    entries  in order, from the beginning if `streams` is given, else from the last cosigned one on
    streams  where the streams stand by their own table
    """
    whole = streams is not None
    frontier, fault = EMPTY_FRONTIER if whole else log.accepted, None
    accepted = None if whole else log.accepted
    ends: dict[StreamKey, StreamEnd] = {}
    for stored in entries:
        if frontier.size == log.accepted.size:
            accepted = frontier
        fault = fault or _entry_fault(stored, frontier.size, ends if whole else None)
        frontier = frontier.extended([stored.entry])
    if frontier.size == log.accepted.size:
        accepted = frontier
    fault = (
        fault
        or _tree_fault(frontier, log.frontier, "stored frontier")
        or _tree_fault(accepted or frontier, log.accepted, "cosigned checkpoint")
        or _stream_fault(ends, streams)
        or _note_fault(log, keys)
    )
    return _report(log, frontier, fault)


def audit_part(
    log: LogState, audited: Frontier, entries: Iterable[StoredEntry], *, end: int
) -> tuple[Frontier, LogReport]:
    """Return the tree over what was audited and these entries, and what is wrong with them.

    audited  over the entries before these, computed again by the parts before this one
    entries  the next ones, up to `end`, which lies beyond the cosigned checkpoint only where the
             part begins there or later

    Streams are not looked at: bytes under the root that the registry cosigned are those it took.
    """
    frontier, fault = audited, None
    for stored in entries:
        fault = fault or _bytes_fault(stored, frontier.size)
        frontier = frontier.extended([stored.entry])
    if frontier.size < end:
        fault = fault or _missing(frontier.size)
    if frontier.size == log.accepted.size:
        fault = fault or _tree_fault(frontier, log.accepted, "cosigned checkpoint")
    if frontier.size == log.frontier.size:
        fault = fault or _tree_fault(frontier, log.frontier, "stored frontier")
    return frontier, _report(log, frontier, fault)


def _report(log: LogState, frontier: Frontier, fault: _Fault | None) -> LogReport:
    return LogReport(
        origin=log.origin,
        size=frontier.size,
        accepted_size=log.accepted.size,
        root=frontier.root().hex(),
        first_wrong=fault.index if fault else None,
        fault=fault.why if fault else None,
    )


def _bytes_fault(stored: StoredEntry, expected: int) -> _Fault | None:
    """Return whether an entry is absent or other than it was written."""
    if stored.index != expected:
        return _missing(expected)
    if leaf_hash(stored.entry) != stored.leaf:
        return _Fault(expected, f"Entry {expected} was changed after it was written.")
    return None


def _missing(index: int) -> _Fault:
    return _Fault(index, f"Entry {index} is missing.")


def _entry_fault(
    stored: StoredEntry, expected: int, ends: dict[StreamKey, StreamEnd] | None
) -> _Fault | None:
    """Return what is wrong with one entry by itself and in its stream."""
    wrong_bytes = _bytes_fault(stored, expected)
    if wrong_bytes is not None:
        return wrong_bytes
    try:
        entry = read_entry(stored.entry)
    except LogRefused as refused:
        return _Fault(expected, f"Entry {expected}: {refused.message}")
    wrong = advance(ends, entry) if ends is not None else None
    return _Fault(expected, f"Entry {expected}: {wrong}.") if wrong else None


def _tree_fault(found: Frontier, noted: Frontier, what: str) -> _Fault | None:
    """Return where two trees part: the first perfect subtree whose roots differ."""
    if found.size != noted.size:
        return _Fault(
            min(found.size, noted.size),
            f"There are {found.size} entries, but the {what} is over {noted.size}.",
        )
    begin = 0
    for at, (one, other) in enumerate(zip(found.roots, noted.roots, strict=True)):
        width = _widths(found.size)[at]
        if one != other:
            return _Fault(begin, f"Entries {begin} to {begin + width - 1} do not match the {what}.")
        begin += width
    return None


def _widths(size: int) -> list[int]:
    """Return the widths of the perfect subtrees of a tree of `size` leaves, largest first."""
    return [1 << bit for bit in reversed(range(size.bit_length())) if size >> bit & 1]


def _stream_fault(
    found: Mapping[StreamKey, StreamEnd], noted: Mapping[StreamKey, StreamEnd] | None
) -> _Fault | None:
    if noted is None or found == noted:
        return None
    return _Fault(None, "The table of streams says something else than the entries do.")


def _note_fault(log: LogState, keys: Keys | None) -> _Fault | None:
    """Return what is wrong with the checkpoint that both sides signed."""
    if keys is None or log.accepted_note is None:
        return None
    try:
        checkpoint, note = read_checkpoint(log.accepted_note)
    except LogRefused as refused:
        return _Fault(None, f"The cosigned checkpoint: {refused.message}")
    if (checkpoint.origin, checkpoint.size, checkpoint.root) != (
        log.origin,
        log.accepted.size,
        log.accepted.root(),
    ):
        return _Fault(None, "The cosigned checkpoint is over another log than this one.")
    if not is_note_signed(note, name=log.origin, public_key=keys.node):
        return _Fault(None, "The cosigned checkpoint is not signed by this node.")
    if not any(
        cosigned_at_s(note, name=keys.witness_name, public_key=witness)
        for witness in keys.witnesses
    ):
        return _Fault(None, "The checkpoint is not cosigned by the registry.")
    return None

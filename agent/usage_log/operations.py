"""The usage log grows, is signed, and learns what the registry has of it.

Everything here runs inside the caller's unit of work: an entry is kept together with whatever it
records, or not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from agent.store.database import Db
from agent.usage_log import queries
from agent.usage_log.audit import Keys, LogReport, audit, audit_part
from agent.usage_log.key_change import KeyChange, key_changed
from agent.usage_log.log_state import (
    BROKEN,
    Cosigner,
    LogState,
    Parked,
    batch_begin,
    cosigner,
    diverged,
    is_restoring,
    is_unsignable,
    parked_by,
)
from agent.usage_log.restoring import Replayed, begun_again, common_prefix
from agent.usage_log.stream import StreamEnd, StreamKey, advanced, streams_touched
from protocol.checkpoint import Checkpoint, log_origin, read_signed_checkpoint, witness_name
from protocol.enrolment import LostLog
from protocol.log_events import Gap
from protocol.merkle import EMPTY_FRONTIER, Frontier, leaf_hash, root_of
from protocol.packing import ENTRIES_MAX, packed_entries
from protocol.refusal import Fault, LogRefused
from protocol.sync import LogAnswer, LogBatch
from protocol.tiles import TILE_WIDTH, TileName
from protocol.usage import Closed, Entry, entry_bytes, read_entry

SEALED_AT_ONCE_MAX = 64
"""Bundles sealed in one unit of work, about a millisecond each."""

Sign = Callable[[Checkpoint, KeyChange | None], str]
"""Return a checkpoint as a note signed by the node (`agent/usage_log/key_change.py:signed_by`)."""


def begin_log(
    db: Db,
    *,
    registry_domain: str,
    node_id: str,
    epoch: int,
    lost: LostLog | None = None,
) -> None:
    """Begin the log of a node that was enrolled; the same log again changes nothing.

    lost  the log before, where its disk was lost: it is named, and what it had not sent is a gap
    """
    origin = log_origin(registry_domain, node_id, epoch)
    log = queries.find_log(db)
    if log is None:
        begun = LogState(
            origin=origin,
            epoch=epoch,
            frontier=EMPTY_FRONTIER,
            registry_size=0,
            accepted=EMPTY_FRONTIER,
            accepted_note=None,
            parked=None,
            counted_from_ms=0 if lost is None else lost.until_at_ms,
        )
        queries.insert_log(db, begun)
        if lost is not None:
            append(db, begun_again(epoch, lost))
    elif log.origin != origin:
        raise Fault(
            f"This database holds the usage log {log.origin}, the registry expects {origin}. "
            "Keep it, and give the agent an empty data directory to begin a new one."
        )


def append(db: Db, entries: Sequence[Entry]) -> int:
    """Add entries; return the size of the log after them.

    A record that does not continue its stream is a bug of its writer and fails the unit of work.
    """
    log = queries.get_log(db)
    if not entries:
        return log.frontier.size
    owners = {stream.owner for stream in streams_touched(entries)}
    owners |= {entry.allocation_id for entry in entries if isinstance(entry, (Closed, Gap))}
    return append_to(db, log, queries.list_streams(db, owners), entries).frontier.size


def append_to(
    db: Db,
    log: LogState,
    streams: Mapping[StreamKey, StreamEnd],
    entries: Sequence[Entry],
) -> LogState:
    """Add entries to the log as the caller read it in this unit; return it as it is then.

    streams  where all streams of the entries' owners stand
    """
    if not entries:
        return log
    ends = advanced(streams, entries)
    raw = [entry_bytes(entry) for entry in entries]
    leaves = [leaf_hash(entry) for entry in raw]
    queries.insert_entries(db, log.frontier.size, raw, leaves)
    queries.put_streams(db, {key: end for key, end in ends.items() if streams.get(key) != end})
    grown = replace(log, frontier=log.frontier.with_leaves(leaves))
    queries.update_log(db, grown)
    return grown


def next_batch(db: Db, sign: Sign, *, entries_max: int = ENTRIES_MAX) -> LogBatch | None:
    """Return what the registry lacks, signed; None if it has everything or nothing may be signed.

    The checkpoint is over the log up to the end of the batch, so that a long backlog travels in
    pieces that can each be checked.
    """
    log = queries.get_log(db)
    begin = batch_begin(log)
    if begin is None:
        return None
    end = min(begin + entries_max, log.frontier.size)
    change = queries.find_key_change(db)
    if change is not None and begin <= change.index:
        end = min(end, change.index + 1)
    entries = queries.list_entries(db, begin, end)
    frontier = _frontier_at(db, log, end)
    checkpoint = Checkpoint(origin=log.origin, size=end, root=frontier.root())
    return LogBatch(
        epoch=log.epoch,
        begin=begin,
        entries=packed_entries(entries),
        checkpoint=sign(checkpoint, change),
    )


def begin_key_change(db: Db, public_key: bytes, *, now_ms: int) -> bool:
    """Write down that this node changes its key, once; False if it had been, or cannot be now."""
    log = queries.get_log(db)
    if is_unsignable(log) or queries.find_key_change(db) is not None:
        return False
    append(db, [key_changed(log.origin, public_key, at_ms=now_ms)])
    queries.put_key_change(db, KeyChange(log.frontier.size, public_key))
    return True


def end_key_change(db: Db) -> bytes | None:
    """Return the new key once the registry has cosigned the change, and forget the change."""
    change = queries.find_key_change(db)
    if change is None or queries.get_log(db).accepted.size <= change.index:
        return None
    queries.put_key_change(db, None)
    return change.public_key


def count_unsent(db: Db) -> int:
    """Return how many entries the next batches would hold; 0 if nothing may be signed."""
    log = queries.get_log(db)
    begin = batch_begin(log)
    return 0 if begin is None else log.frontier.size - begin


def note_answer(
    db: Db, answer: LogAnswer, sign: Sign, *, witness: str, witness_keys: Sequence[bytes]
) -> Parked | None:
    """Keep what the registry said of the log; return why the log is parked, or None.

    The cosignature is checked against our own tree at the size it stands for: only if that is the
    very log which the registry saw does the accepted part move on.  If it is another, then entries
    were lost here and others took their place; signing on would be signing a second history.
    """
    log = queries.get_log(db)
    log = replace(log, registry_size=answer.size, parked=parked_by(log, answer))
    news = log.accepted.size < answer.size <= log.frontier.size and answer.epoch == log.epoch
    if answer.cosignature is not None and news:
        frontier = _frontier_at(db, log, answer.size)
        checkpoint = Checkpoint(origin=log.origin, size=answer.size, root=frontier.root())
        text = f"{checkpoint.text()}\n{answer.cosignature}"
        seen = cosigner(text, witness=witness, witness_keys=witness_keys)
        if seen is Cosigner.OTHER_LOG:
            log = replace(log, parked=diverged(answer.size))
        elif seen is Cosigner.RIGHT and not is_unsignable(log):
            note = sign(checkpoint, queries.find_key_change(db)) + answer.cosignature
            log = replace(log, accepted=frontier, accepted_note=note)
    queries.update_log(db, log)
    seal_accepted(db, log)
    return log.parked


def restore_begin(db: Db) -> int | None:
    """Return from where on entries are to be pulled back; None where nothing is to be restored.

    What the registry has cosigned here is what it has; from there on it may have other entries.
    """
    log = queries.get_log(db)
    return log.accepted.size if is_restoring(log) else None


def take_back(db: Db, begin: int, entries: Sequence[bytes], *, now_ms: int) -> int:
    """Put entries that the registry has in their place; return how far the log agrees with it.

    Own entries that differ were written after an old copy of this database had been put back.
    Nobody signed them; they are set aside.
    """
    log = queries.get_log(db)
    assert is_restoring(log)
    assert log.accepted.size <= begin <= log.frontier.size
    own = queries.list_entries(db, begin, min(begin + len(entries), log.frontier.size))
    agreeing = begin + common_prefix(own, entries)
    if agreeing == begin + len(entries):
        return agreeing
    frontier = _frontier_at(db, log, agreeing)
    if agreeing < log.frontier.size:
        queries.set_aside(db, agreeing, at_ms=now_ms)
    missing = list(entries[agreeing - begin :])
    leaves = [leaf_hash(entry) for entry in missing]
    queries.insert_entries(db, agreeing, missing, leaves)
    grown = replace(log, frontier=frontier.with_leaves(leaves))
    queries.update_log(db, grown)
    return grown.frontier.size


def end_restore(
    db: Db,
    note: str,
    *,
    public_key: bytes,
    witness: str,
    witness_keys: Sequence[bytes],
) -> Replayed:
    """Go on from what was pulled back, once it is what both signed; return what all of it comes to.

    Refuses a checkpoint that node and registry did not both sign, or that is over another log.
    """
    log = queries.get_log(db)
    checkpoint = read_signed_checkpoint(note, origin=log.origin, public_key=public_key)
    if cosigner(note, witness=witness, witness_keys=witness_keys) is not Cosigner.RIGHT:
        raise LogRefused("cosignature_missing", "The registry did not cosign what it sent back.")
    accepted = _frontier_at(db, log, checkpoint.size)
    if accepted.root() != checkpoint.root:
        raise LogRefused("checkpoint_root", "What came back is not what this node had signed.")
    replayed = Replayed()
    for stored in queries.each_entry(db, 0):
        replayed.add(read_entry(stored.entry))
    queries.replace_streams(db, replayed.streams)
    restored = replace(
        log,
        registry_size=checkpoint.size,
        accepted=accepted,
        accepted_note=note,
        parked=None,
    )
    queries.update_log(db, restored)
    return replayed


def seal_accepted(db: Db, log: LogState) -> int:
    """Seal what the registry has cosigned, 256 entries at a time; return how many bundles.

    What it has not may still be set aside, should this database turn out to be an old copy.
    """
    first = queries.count_bundles(db)
    end = min(log.accepted.size // TILE_WIDTH, first + SEALED_AT_ONCE_MAX)
    for number in range(first, end):
        root, level, at = root_of(queries.seal(db, number)), 1, number
        queries.insert_tile_root(db, level, at, root)
        while at % TILE_WIDTH == TILE_WIDTH - 1:
            begin = at + 1 - TILE_WIDTH
            root = root_of(queries.list_tile_roots(db, level, begin, at + 1))
            level, at = level + 1, at // TILE_WIDTH
            queries.insert_tile_root(db, level, at, root)
    return end - first


def read_tile(db: Db, name: TileName) -> bytes | None:
    """Return the hashes of a tile, or an entry bundle in gzip; None beyond what is cosigned.

    Entries that only this node has are nobody's to see yet, nor are their hashes.
    """
    log = queries.find_log(db)
    if log is None or name.end() > log.accepted.size:
        return None
    if name.level:
        begin = name.number * TILE_WIDTH
        return b"".join(queries.list_tile_roots(db, name.level, begin, begin + name.width))
    begin, end = name.begin(), name.end()
    if name.level == 0:
        return b"".join(queries.list_leaves(db, begin, end))
    whole = queries.find_bundle(db, name.number) if name.width == TILE_WIDTH else None
    return whole or queries.packed_bundle(queries.list_entries(db, begin, end))


def find_checkpoint(db: Db) -> tuple[int, str] | None:
    """Return the epoch of the log and its last cosigned checkpoint, or None before the first."""
    log = queries.find_log(db)
    return None if log is None or log.accepted_note is None else (log.epoch, log.accepted_note)


def verify_log(db: Db, keys: Keys | None, *, whole: bool = True) -> LogReport:
    """Compute the log again, or with `whole` false what was appended since the last cosignature.

    Reads only, so that it may look at the database of an agent that runs.
    """
    log = queries.get_log(db)
    begin = 0 if whole else log.accepted.size
    streams = queries.list_all_streams(db) if whole else None
    return audit(log, queries.each_entry(db, begin), streams, keys)


def verify_part(
    db: Db, audited: Frontier, *, entries_max: int = queries.READ_ENTRIES_MAX
) -> tuple[Frontier, LogReport | None]:
    """Compute the next part of the log again and park the log if it is broken.

    Returns the tree over all that was audited, which the next call goes on from, and the report of
    a round that has ended: at the end of the log, or at the first fault.
    """
    log = queries.get_log(db)
    # A part ends where the registry cosigned, so that the two trees can be compared there.
    edge = log.accepted.size if audited.size < log.accepted.size else log.frontier.size
    end = min(audited.size + entries_max, edge)
    entries = queries.list_stored(db, audited.size, end)
    audited, report = audit_part(log, audited, entries, end=end)
    if report.fault is not None and (log.parked is None or log.parked.code != BROKEN):
        park_broken(db, report)
    ended = report.fault is not None or audited.size >= log.frontier.size
    return audited, report if ended else None


def park_broken(db: Db, report: LogReport) -> None:
    """Sign nothing more of a log that an audit found broken."""
    assert report.fault is not None
    log = queries.get_log(db)
    queries.update_log(db, replace(log, parked=Parked(BROKEN, report.fault)))


def find_log_fault(db: Db) -> str | None:
    """Return why nothing of the usage log may be signed, in a sentence, or None.

    A log that the registry refused is not among them: it is offered again at every call, and the
    registry opens the finding.
    """
    log = queries.find_log(db)
    if log is None or log.parked is None or not is_unsignable(log):
        return None
    return log.parked.why


def audit_keys(*, registry_domain: str, node: bytes, witnesses: Sequence[bytes]) -> Keys:
    """Return whose signatures an audit looks for."""
    return Keys(node=node, witness_name=witness_name(registry_domain), witnesses=tuple(witnesses))


def _frontier_at(db: Db, log: LogState, size: int) -> Frontier:
    """Return the right edge at `size`, from the nearest one that is kept."""
    if size == log.frontier.size:
        return log.frontier
    frontier = log.accepted if log.accepted.size <= size else EMPTY_FRONTIER
    while frontier.size < size:
        end = min(frontier.size + queries.READ_ENTRIES_MAX, size)
        frontier = frontier.extended(queries.list_entries(db, frontier.size, end))
    return frontier

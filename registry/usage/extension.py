"""Does a batch continue the log?  Only then are its entries looked at.

A batch is held against what was accepted before: entries that overlap must be the same bytes, and
the tree that results must have the root the node signed.  Two roots that a node signed for one
size are a fork: the log is frozen and both notes are kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from protocol.checkpoint import Checkpoint, read_signed_checkpoint
from protocol.merkle import Frontier
from protocol.note import cosigned_at_s, read_note
from protocol.packing import PackedEntries, Unpacked, part, unpacked_entries
from protocol.refusal import LogRefused
from protocol.sync import LogBatch
from registry.usage.log_state import Log


class ForkFound(LogRefused):
    """The node signed two logs that cannot be one; `evidence` is its note that contradicts ours."""

    def __init__(self, message: str, *, evidence: str) -> None:
        super().__init__("log_forked", message)
        self.evidence = evidence


@dataclass(frozen=True, slots=True)
class Extension:
    """The entries that a batch adds after the last one accepted, packed and unpacked."""

    packed: PackedEntries
    unpacked: Unpacked


def signed_end(log: Log, batch: LogBatch) -> Checkpoint:
    """Return the checkpoint of a batch; refuse one that the node did not sign over its end."""
    if log.state == "frozen":
        raise LogRefused("log_frozen", "This log was frozen when its node signed two of it.")
    if batch.epoch != log.epoch:
        raise LogRefused("log_epoch", f"Epoch {batch.epoch} is not the present one, {log.epoch}.")
    checkpoint = read_signed_checkpoint(
        batch.checkpoint, origin=log.origin, public_key=log.public_key
    )
    if checkpoint.size != batch.begin + batch.entries.count:
        raise LogRefused(
            "checkpoint_size", f"The checkpoint ends at {checkpoint.size}, not with its entries."
        )
    return checkpoint


def extension(
    log: Log,
    batch: LogBatch,
    checkpoint: Checkpoint,
    *,
    known: Sequence[bytes],
    frontier_at: Callable[[int], Frontier],
) -> Extension | None:
    """Return what the batch adds, or None where it only repeats; refuse one that contradicts what
    was accepted before.

    known        the accepted entries from `batch.begin` on, as far as the batch goes
    frontier_at  the frontier the log had at a size up to its own
    """
    assert batch.begin <= log.size
    unpacked = unpacked_entries(batch.entries)
    sent = unpacked.entries
    if known and sent[: len(known)] != list(known):
        raise _altered(batch, checkpoint, sent, frontier_at(batch.begin))
    if checkpoint.size <= log.size:
        if frontier_at(checkpoint.size).root() != checkpoint.root:
            raise _forked(checkpoint.size, batch)
        return None
    if not known:
        return Extension(batch.entries, unpacked)
    fresh = part(batch.entries, len(known), batch.entries.count)
    return Extension(fresh, unpacked_entries(fresh))


def checked_root(frontier: Frontier, checkpoint: Checkpoint) -> Frontier:
    """Return the frontier after the batch; refuse if its root is not the one the node signed."""
    if frontier.root() != checkpoint.root:
        raise LogRefused(
            "checkpoint_root", "The entries do not lead to the root that their node signed."
        )
    return frontier


def check_signed(log: Log, frontier: Frontier, *, witness: str, witness_key: bytes) -> None:
    """Refuse a log whose stored entries are not what node and registry signed."""
    if not log.size:
        return
    checkpoint = read_signed_checkpoint(
        log.checkpoint, origin=log.origin, public_key=log.public_key
    )
    if checkpoint.size != log.size or frontier != log.frontier:
        raise LogRefused("frontier_wrong", "The log does not stand where its entries lead.")
    checked_root(frontier, checkpoint)
    note = read_note(log.checkpoint + log.cosignature)
    if cosigned_at_s(note, name=witness, public_key=witness_key) is None:
        raise LogRefused("cosignature_wrong", "The registry's cosignature does not verify.")


def _altered(
    batch: LogBatch, checkpoint: Checkpoint, sent: Sequence[bytes], before: Frontier
) -> LogRefused:
    """Return why entries differ from those accepted: the node signed them, or it did not."""
    if before.extended(sent).root() == checkpoint.root:
        return _forked(checkpoint.size, batch)
    return LogRefused(
        "entry_altered", "An entry that was accepted before came with other bytes, unsigned."
    )


def _forked(size: int, batch: LogBatch) -> ForkFound:
    return ForkFound(
        f"The node signed a log of {size} entries that contradicts the one accepted before.",
        evidence=batch.checkpoint,
    )

"""Does a batch continue the log?  Only then are its entries looked at.

A batch is held against what was accepted before: entries that overlap must be the same bytes, and
the tree that results must have the root the node signed.  Two roots that a node signed for one
size are a fork: the log is frozen and both notes are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.checkpoint import Checkpoint, read_signed_checkpoint
from protocol.fork_evidence import evidence_text
from protocol.merkle import Frontier, Subtree, consistency_proof, leaf_hash, node_hash
from protocol.note import cosigned_at_s, read_note, verifier_key
from protocol.packing import PackedEntries, Unpacked, part, unpacked_entries
from protocol.refusal import LogRefused
from protocol.sync import LogBatch
from registry.usage.log_state import Log
from registry.usage.log_tree import frontier_at


class ForkFound(LogRefused):
    """The node signed two logs that cannot be one; `evidence` proves it alone."""

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
    subtree: Subtree,
) -> Extension | None:
    """Return what the batch adds, or None where it only repeats; refuse one that contradicts what
    was accepted before.

    known    the accepted entries from `batch.begin` on, as far as the batch goes
    subtree  the roots of perfect subtrees of the accepted log
    """
    assert batch.begin <= log.size
    unpacked = unpacked_entries(batch.entries)
    sent = unpacked.entries
    if known and sent[: len(known)] != list(known):
        raise _altered(log, batch, checkpoint, sent, subtree)
    if checkpoint.size <= log.size:
        accepted = log.frontier
        if checkpoint.size < log.size:
            accepted = frontier_at(checkpoint.size, subtree)
        if accepted.root() != checkpoint.root:
            raise _forked(log, batch, checkpoint, sent, subtree)
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
    log: Log,
    batch: LogBatch,
    checkpoint: Checkpoint,
    sent: Sequence[bytes],
    subtree: Subtree,
) -> LogRefused:
    """Return why entries differ from those accepted: the node signed them, or it did not."""
    if frontier_at(batch.begin, subtree).extended(sent).root() == checkpoint.root:
        return _forked(log, batch, checkpoint, sent, subtree)
    return LogRefused(
        "entry_altered", "An entry that was accepted before came with other bytes, unsigned."
    )


def _forked(
    log: Log,
    batch: LogBatch,
    checkpoint: Checkpoint,
    sent: Sequence[bytes],
    subtree: Subtree,
) -> ForkFound:
    """Return the fork with its evidence: both notes, and why the shorter is of another log."""
    ours, theirs = log.checkpoint, batch.checkpoint
    shorter, longer, tree = theirs, ours, subtree
    small, large = checkpoint.size, log.size
    if checkpoint.size > log.size:
        shorter, longer, tree = ours, theirs, _their_tree(batch.begin, sent, subtree)
        small, large = log.size, checkpoint.size
    evidence = evidence_text(
        node_key=verifier_key(log.origin, log.public_key),
        shorter=shorter,
        longer=longer,
        prefix_root=frontier_at(small, tree).root(),
        proof=consistency_proof(small, large, tree),
    )
    return ForkFound(
        f"The node signed a log of {checkpoint.size} entries that contradicts the one accepted "
        "before.",
        evidence=evidence,
    )


def _their_tree(begin: int, sent: Sequence[bytes], ours: Subtree) -> Subtree:
    """Return the lookup of a log that is ours up to `begin`, and goes on with other entries."""
    leaves = [leaf_hash(entry) for entry in sent]

    def subtree(level: int, index: int) -> bytes:
        first = index << level
        if first + (1 << level) <= begin:
            return ours(level, index)
        if level == 0:
            return leaves[first - begin]
        return node_hash(subtree(level - 1, 2 * index), subtree(level - 1, 2 * index + 1))

    return subtree

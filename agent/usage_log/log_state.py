"""The usage log as a value: how far it goes, how far the registry has it, whether it may be signed.

A node that was restored from an old snapshot has fewer entries than the registry.  Were it to sign
what it then appends, it would have signed two different logs, which is what a fraud looks like.  So
such a log is parked: nothing is signed, and nothing added, until its own entries are pulled back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from protocol.merkle import Frontier
from protocol.note import TYPE_COSIGNATURE, cosigned_at_s, note_key_id, read_note
from protocol.refusal import LogRefused
from protocol.sync import LogAnswer

BEHIND = "log_behind_registry"
OTHER_EPOCH = "log_other_epoch"
REFUSED = "log_refused"
BROKEN = "log_broken"
DIVERGED = "log_diverged"

STICKY = frozenset({BEHIND, BROKEN, DIVERGED})
"""Reasons that no later answer takes away: only a person, or getting the lost entries back."""

UNSIGNABLE = STICKY | {OTHER_EPOCH}
"""Reasons for which nothing may be signed.  A refused log is offered again at every sync."""


@dataclass(frozen=True, slots=True)
class Parked:
    """Why the log is not taken: a code and a sentence."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class LogState:
    """The one row of the log.

    frontier       over every entry
    registry_size  how many entries the registry last said it has
    accepted       frontier over those it has cosigned
    accepted_note  their checkpoint with both signatures; None before the first
    counted_from_ms  before it nothing counts: an earlier log of this node did, or was lost
    """

    origin: str
    epoch: int
    frontier: Frontier
    registry_size: int
    accepted: Frontier
    accepted_note: str | None
    parked: Parked | None
    counted_from_ms: int = 0


def is_restoring(log: LogState) -> bool:
    """Whether entries of this log are being pulled back, so that nothing may be added to it."""
    return log.parked is not None and log.parked.code in (BEHIND, DIVERGED)


def is_unsignable(log: LogState) -> bool:
    """Whether nothing of the log may be signed at present."""
    return log.parked is not None and log.parked.code in UNSIGNABLE


def batch_begin(log: LogState) -> int | None:
    """Return where the next batch begins; None when nothing is to be sent or may be signed.

    It begins at the last cosigned entry even if the registry has more, so that an answer that got
    lost is asked for again; the registry compares what it has.
    """
    if is_unsignable(log):
        return None
    begin = min(log.accepted.size, log.registry_size)
    return begin if begin < log.frontier.size else None


def parked_by(log: LogState, answer: LogAnswer) -> Parked | None:
    """Return why the log is parked after what the registry said of it, or None if it is not."""
    if log.parked is not None and log.parked.code in STICKY:
        return log.parked
    if answer.epoch != log.epoch:
        return Parked(
            OTHER_EPOCH,
            f"The registry goes by epoch {answer.epoch} of this log, the node by {log.epoch}.",
        )
    if answer.size > log.frontier.size:
        return Parked(
            BEHIND,
            f"The registry has {answer.size} entries, this node {log.frontier.size}: the database "
            "was restored from an older copy.",
        )
    if answer.problem is not None:
        return Parked(REFUSED, f"{answer.problem.code}: {answer.problem.message}")
    return None


def diverged(size: int) -> Parked:
    """Return why a log is parked that is not the one the registry saw."""
    return Parked(
        DIVERGED,
        f"The first {size} entries are not those the registry has: the database was restored from "
        "an older copy and written on.",
    )


class Cosigner(Enum):
    """What a cosignature line says of a checkpoint of ours."""

    RIGHT = "right"
    OTHER_LOG = "other log"
    UNKNOWN = "unknown"


def cosigner(note: str, *, witness: str, witness_keys: Sequence[bytes]) -> Cosigner:
    """Return whether a key of the registry that we trust signed exactly this checkpoint.

    note  the checkpoint's text and the cosignature line
    """
    try:
        parsed = read_note(note)
    except LogRefused:
        return Cosigner.UNKNOWN
    names = {note_key_id(witness, key, TYPE_COSIGNATURE): key for key in witness_keys}
    for line in parsed.signatures:
        key = names.get(line.key_id)
        if line.name == witness and key is not None:
            seen = cosigned_at_s(parsed, name=witness, public_key=key)
            return Cosigner.OTHER_LOG if seen is None else Cosigner.RIGHT
    return Cosigner.UNKNOWN

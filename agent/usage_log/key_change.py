"""A node changes its key: one entry says so, and the checkpoint over it has both signatures."""

import base64
from dataclasses import dataclass

from protocol.checkpoint import Checkpoint, signed_checkpoint
from protocol.log_events import KeyChanged
from protocol.note import TYPE_ED25519, note_key_id, signed_line
from protocol.refusal import Fault
from protocol.signing import SigningKey, public_bytes


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A change that the registry has not cosigned yet: the entry that states it, and to which."""

    index: int
    public_key: bytes


def key_changed(origin: str, public_key: bytes, *, at_ms: int) -> KeyChanged:
    """Return the entry from which on `public_key` signs the log."""
    return KeyChanged(
        key_id=note_key_id(origin, public_key, TYPE_ED25519).hex(),
        public_key=base64.b64encode(bytes([TYPE_ED25519]) + public_key).decode(),
        at_ms=at_ms,
    )


def signed_by(
    checkpoint: Checkpoint,
    change: KeyChange | None,
    *,
    current: SigningKey,
    following: SigningKey | None,
) -> str:
    """Return the checkpoint as a note signed by whoever signs the log at that size."""
    note = signed_checkpoint(checkpoint, current)
    if change is None or checkpoint.size <= change.index:
        return note
    if following is None or public_bytes(following) != change.public_key:
        raise Fault(
            "The usage log says that this node changes its key, and the file of the next key is "
            "not that key. Put node.key.next back from a backup, or enrol the node anew."
        )
    return note + signed_line(checkpoint.text(), name=checkpoint.origin, key=following)

"""A checkpoint: the node's signature over its usage log at one size (C2SP tlog-checkpoint).

The origin names the log: `<registry-domain>/log/<node-id>/<epoch>`.  The registry answers with a
cosignature under `<registry-domain>/witness`.
"""

import base64
import re
from dataclasses import dataclass

from protocol.merkle import HASH_BYTES
from protocol.note import (
    Note,
    cosigned_line,
    is_note_signed,
    read_note,
    signed_line,
    strict_base64,
)
from protocol.refusal import LogRefused
from protocol.signing import SigningKey

SIZE_PATTERN = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: its name, how many entries it has, the root over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the note text: three lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def log_origin(registry_domain: str, node_id: str, epoch: int) -> str:
    """Return the name of the usage log of a node."""
    return f"{registry_domain}/log/{node_id}/{epoch}"


def witness_name(registry_domain: str) -> str:
    """Return the name under which the registry cosigns."""
    return f"{registry_domain}/witness"


def signed_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> str:
    """Return the checkpoint as a note signed by the node."""
    text = checkpoint.text()
    return f"{text}\n{signed_line(text, name=checkpoint.origin, key=key)}"


def cosignature(checkpoint: Checkpoint, *, witness: str, key: SigningKey, at_s: int) -> str:
    """Return the registry's cosignature line for a checkpoint it has verified."""
    return cosigned_line(checkpoint.text(), name=witness, key=key, at_s=at_s)


def read_checkpoint(note: str) -> tuple[Checkpoint, Note]:
    """Return what a checkpoint note says, unverified, and the note itself."""
    parsed = read_note(note)
    lines = parsed.text.split("\n")
    if len(lines) != 4 or not lines[0] or SIZE_PATTERN.fullmatch(lines[1]) is None:
        raise LogRefused("checkpoint_malformed", "A checkpoint must be origin, size and root.")
    root = strict_base64(lines[2])
    if root is None or len(root) != HASH_BYTES:
        raise LogRefused("checkpoint_malformed", "The root of a checkpoint is not a SHA-256 hash.")
    return Checkpoint(origin=lines[0], size=int(lines[1]), root=root), parsed


def read_signed_checkpoint(note: str, *, origin: str, public_key: bytes) -> Checkpoint:
    """Return the checkpoint; refuse another log's, or one its node did not sign."""
    checkpoint, parsed = read_checkpoint(note)
    if checkpoint.origin != origin:
        raise LogRefused("checkpoint_origin", f"The checkpoint is of {checkpoint.origin!r}.")
    if not is_note_signed(parsed, name=origin, public_key=public_key):
        raise LogRefused("checkpoint_signature", "The checkpoint is not signed by its node.")
    return checkpoint

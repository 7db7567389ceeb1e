"""Entries of a usage log that count nothing: sessions, keys, corrections, losses, new beginnings.

How they are spelled, and the rules each keeps by itself, stand with the others in `protocol/usage`.
"""

import re
from dataclasses import dataclass

from protocol.canonical import STRING_BYTES_MAX

ORIGIN_PARTS_MAX = 6
EVERYTHING = "*"
"""What a gap names as its owner when the whole node lost time."""

VIAS = frozenset({"terminal", "ssh", "storage"})
PATHS = frozenset({"direct", "site", "relay"})
HASH_PATTERN = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=", re.ASCII)
"""Base64 of 32 bytes, with no bit left over."""

KEY_PATTERN = re.compile(r"A[Q-Za-f][A-Za-z0-9+/]{42}", re.ASCII)
"""Base64 of the type byte 0x01 and the 32 bytes of an Ed25519 key (C2SP signed-note)."""

KEY_ID_PATTERN = re.compile(r"[0-9a-f]{8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody used an allocation or its files: over which way, how much, and why it ended.

    object_id  an allocation, or a bucket of files
    who        the person, API key or SSH key
    via        terminal, ssh or storage
    path       direct, on the site's own network, or through the relay
    """

    object_id: str
    tenant_id: str
    project_id: str
    who: str
    via: str
    path: str
    begin_ms: int
    end_ms: int
    bytes_in: int
    bytes_out: int
    reason: str


@dataclass(frozen=True, slots=True)
class KeyChanged:
    """From the next entry on another key signs this log; the checkpoint over this one has both.

    key_id      the four bytes of C2SP signed-note, in hex
    public_key  base64 of the type byte and the key; with the origin they are the verifier key
    """

    key_id: str
    public_key: str
    at_ms: int

    def verifier_key(self, origin: str) -> str:
        """Return the C2SP verifier key of the new signer of this log."""
        return f"{origin}+{self.key_id}+{self.public_key}"


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The record at `reference` counted `-quantity` too much, or `quantity` too little."""

    allocation_id: str
    tenant_id: str
    project_id: str
    sku: str
    meter: str
    quantity: int
    reference: int
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Gap:
    """What was used in [begin_ms, end_ms) is not known and will never be billed.

    allocation_id  an allocation, or EVERYTHING
    """

    allocation_id: str
    begin_ms: int
    end_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class EpochBegun:
    """The first entry of a log whose predecessor was lost: what the registry had of that.

    origin_parts  the predecessor's origin, cut into pieces of at most 64 characters
    root          base64 of its root over `size` entries
    """

    epoch: int
    origin_parts: tuple[str, ...]
    size: int
    root: str
    at_ms: int

    @property
    def origin(self) -> str:
        """Return the predecessor's origin."""
        return "".join(self.origin_parts)


def origin_parts(origin: str) -> tuple[str, ...]:
    """Return an origin in pieces that an entry can hold."""
    return tuple(
        origin[at : at + STRING_BYTES_MAX] for at in range(0, len(origin), STRING_BYTES_MAX)
    )

"""Signed notes (C2SP signed-note): a text and one line per signature under it.

Two kinds of signature are made and read here: type 0x01, Ed25519 over the text, by which a node
signs its log; and type 0x04, the timestamped cosignature of a witness (C2SP tlog-cosignature), by
which the registry says when it saw that log.
"""

import base64
import hashlib
import re
import struct
from dataclasses import dataclass

from protocol.refusal import LogRefused
from protocol.signing import KEY_BYTES, SigningKey, is_signed, public_bytes

TYPE_ED25519 = 0x01
TYPE_COSIGNATURE = 0x04
SIGNATURES_MAX = 16
NOTE_BYTES_MAX = 8192
DASH = "\u2014"
CONTROL_PATTERN = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: the signer's name, the 4-byte key id, and what follows it."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and its signatures, none of them checked yet."""

    text: str
    signatures: tuple[NoteSignature, ...]


def strict_base64(text: str) -> bytes | None:
    """Return what the text spells, or None for any other spelling than the one of RFC 4648.

    The decoder alone takes bits that the last character has left over; two notes would be one.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return raw if base64.b64encode(raw).decode() == text else None


def note_key_id(name: str, public_key: bytes, kind: int) -> bytes:
    """Return SHA-256(name || LF || type || key)[:4] (C2SP signed-note, Signatures)."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public_key).digest()[:4]


def verifier_key(name: str, public_key: bytes, kind: int = TYPE_ED25519) -> str:
    """Return the vkey text by which other tools are told whom to trust."""
    identity = note_key_id(name, public_key, kind).hex()
    return f"{name}+{identity}+{base64.b64encode(bytes([kind]) + public_key).decode()}"


def read_verifier_key(text: str) -> tuple[str, int, bytes]:
    """Return name, signature type and public key of a vkey; refuse one that contradicts itself."""
    name, _, rest = text.partition("+")
    identity, _, encoded = rest.partition("+")
    raw = strict_base64(encoded)
    if not name or raw is None or len(raw) != 1 + KEY_BYTES:
        raise LogRefused("verifier_key_malformed", "A verifier key is name+id+base64.")
    kind, public_key = raw[0], raw[1:]
    if note_key_id(name, public_key, kind).hex() != identity:
        raise LogRefused("verifier_key_malformed", "A verifier key does not match its own id.")
    return name, kind, public_key


def signature_line(name: str, key_id: bytes, signature: bytes) -> str:
    """Return one signature line with its newline."""
    return f"{DASH} {name} {base64.b64encode(key_id + signature).decode()}\n"


def signed_line(text: str, *, name: str, key: SigningKey) -> str:
    """Return the type 0x01 signature line over `text`."""
    identity = note_key_id(name, public_bytes(key), TYPE_ED25519)
    return signature_line(name, identity, key.sign(text.encode()))


def cosigned_line(text: str, *, name: str, key: SigningKey, at_s: int) -> str:
    """Return the type 0x04 cosignature line: seen at `at_s`, POSIX seconds."""
    identity = note_key_id(name, public_bytes(key), TYPE_COSIGNATURE)
    message = f"cosignature/v1\ntime {at_s}\n{text}".encode()
    return signature_line(name, identity, struct.pack(">Q", at_s) + key.sign(message))


def read_note(note: str) -> Note:
    """Return text and signatures of a note; refuse what is not one, by name."""
    if len(note) > NOTE_BYTES_MAX or CONTROL_PATTERN.search(note):
        raise LogRefused("note_malformed", "A note is too long or has control characters.")
    text, gap, lines = note.rpartition("\n\n")
    if not gap or not lines.endswith("\n"):
        raise LogRefused("note_malformed", "A note has no signature lines.")
    signatures = tuple(_signature(line) for line in lines[:-1].split("\n"))
    if len(signatures) > SIGNATURES_MAX:
        raise LogRefused("note_malformed", f"A note has more than {SIGNATURES_MAX} signatures.")
    return Note(text=text + "\n", signatures=signatures)


def is_note_signed(note: Note, *, name: str, public_key: bytes) -> bool:
    """Whether the holder of `public_key` signed the note as `name` (type 0x01)."""
    wanted = note_key_id(name, public_key, TYPE_ED25519)
    lines = [s for s in note.signatures if s.name == name and s.key_id == wanted]
    return bool(lines) and all(
        is_signed(public_key, line.signature, note.text.encode()) for line in lines
    )


def cosigned_at_s(note: Note, *, name: str, public_key: bytes) -> int | None:
    """Return when the witness saw the note, or None if it did not sign or signed wrongly."""
    wanted = note_key_id(name, public_key, TYPE_COSIGNATURE)
    for line in note.signatures:
        if line.name == name and line.key_id == wanted and len(line.signature) == 72:
            (at_s,) = struct.unpack(">Q", line.signature[:8])
            message = f"cosignature/v1\ntime {at_s}\n{note.text}".encode()
            return at_s if is_signed(public_key, line.signature[8:], message) else None
    return None


def _signature(line: str) -> NoteSignature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != DASH or not parts[1] or "+" in parts[1]:
        raise LogRefused("note_malformed", "A signature line of a note cannot be read.")
    raw = strict_base64(parts[2])
    if raw is None:
        raise LogRefused("note_malformed", "A signature of a note is not base64.")
    if len(raw) < 5:
        raise LogRefused("note_malformed", "A signature of a note is too short.")
    return NoteSignature(name=parts[1], key_id=raw[:4], signature=raw[4:])

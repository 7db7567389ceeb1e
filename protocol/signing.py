"""Ed25519 keys (RFC 8032): made, read, checked; and the envelope a signed document travels in.

A signature is over `purpose \\n payload`, so that a document signed for one purpose is refused for
any other.  Public keys of small order are refused: the identity point verifies any message.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocol.refusal import SignatureRefused
from protocol.wire import decode, encode

T = TypeVar("T")

SigningKey = Ed25519PrivateKey
"""A secret key, by the name under which rooms take it as an argument."""

KEY_BYTES = 32
PUBLIC_KEYS_KEPT = 1024
"""How many keys are kept as they were read: a node signs with the same one at every call."""

KEY_ID_CHARACTERS = 16
FIELD_PRIME = 2**255 - 19

SMALL_ORDER_Y = frozenset(
    {
        0,
        1,
        FIELD_PRIME - 1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
    }
)
"""The y coordinates of the eight points of small order on edwards25519 (RFC 7748, RFC 8032)."""


class Envelope(msgspec.Struct, frozen=True):
    """A document with its signature: the payload is the very bytes that were signed."""

    purpose: str
    key_id: str
    payload: str
    signature: str


def new_signing_key(seed: bytes) -> SigningKey:
    """Return the key made of 32 bytes of entropy."""
    assert len(seed) == KEY_BYTES
    return Ed25519PrivateKey.from_private_bytes(seed)


def key_id(public_key: bytes) -> str:
    """Return the name of a public key: the first 64 bits of its SHA-256, in hex."""
    return hashlib.sha256(public_key).hexdigest()[:KEY_ID_CHARACTERS]


def public_bytes(key: SigningKey) -> bytes:
    """Return the 32 bytes of the public half."""
    return key.public_key().public_bytes_raw()


@lru_cache(maxsize=PUBLIC_KEYS_KEPT)
def read_public_key(public_key: bytes) -> Ed25519PublicKey:
    """Return the key; refuse other lengths, other encodings and points of small order."""
    if len(public_key) != KEY_BYTES:
        raise SignatureRefused("key_unreadable", "A public key must have 32 bytes.")
    y = int.from_bytes(public_key, "little") & (2**255 - 1)
    if y % FIELD_PRIME in SMALL_ORDER_Y:
        raise SignatureRefused("key_small_order", "A public key of small order is not accepted.")
    if y >= FIELD_PRIME:
        raise SignatureRefused("key_unreadable", "A public key is not in its canonical encoding.")
    return Ed25519PublicKey.from_public_bytes(public_key)


def is_signed(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is the holder's over `message`."""
    try:
        read_public_key(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def seal(value: object, *, purpose: str, key: SigningKey) -> Envelope:
    """Return `value` as a signed envelope."""
    payload = encode(value)
    signature = key.sign(purpose.encode() + b"\n" + payload)
    return Envelope(
        purpose=purpose,
        key_id=key_id(public_bytes(key)),
        payload=payload.decode(),
        signature=base64.b64encode(signature).decode(),
    )


def unseal(envelope: Envelope, kind: type[T], *, purpose: str, trusted: Mapping[str, bytes]) -> T:
    """Return the value inside; refuse another purpose, an unknown key or a wrong signature.

    trusted  public keys by key id
    """
    if envelope.purpose != purpose:
        raise SignatureRefused(
            "wrong_purpose", f"Signed for {envelope.purpose!r}, not {purpose!r}."
        )
    public_key = trusted.get(envelope.key_id)
    if public_key is None:
        raise SignatureRefused("unknown_key", f"Key {envelope.key_id} is not trusted here.")
    payload = envelope.payload.encode()
    try:
        signature = base64.b64decode(envelope.signature, validate=True)
    except ValueError:
        raise SignatureRefused("signature_wrong", "The signature is not base64.") from None
    if not is_signed(public_key, signature, purpose.encode() + b"\n" + payload):
        raise SignatureRefused("signature_wrong", "The signature does not match the document.")
    return decode(payload, kind)

"""JSON on the wire: typed by msgspec, bounded before it is read, errors that name the path.

Unknown fields are ignored, so that a newer peer is understood; the first wrong value is refused
with its path (`$.observed[3].state`).
"""

import json
import zlib
from typing import TypeVar

import msgspec

from protocol.refusal import Refusal

BODY_BYTES_MAX = 4 * 1024 * 1024
"""A compressed body on the wire."""

PLAIN_BYTES_MAX = 32 * 1024 * 1024
"""The same body once inflated: what a compression bomb may cost."""

NAME_CHARACTERS_SHOWN = 64

T = TypeVar("T")


def encode(value: object) -> bytes:
    """Return `value` as JSON bytes."""
    return msgspec.json.encode(value)


def decode(payload: bytes, kind: type[T]) -> T:
    """Return the value that `payload` spells, or refuse with the path of the first wrong value."""
    try:
        return msgspec.json.decode(payload, type=kind)
    except msgspec.ValidationError as error:
        raise malformed(str(error)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise malformed("The body is not JSON.") from None


def decode_once(payload: bytes, kind: type[T]) -> T:
    """Return the value as `decode` does; refuse an object that names a field twice.

    Of two values readers choose differently, so what a program sends by hand must have one.
    """
    try:
        json.loads(payload, object_pairs_hook=_checked_pairs)
    except Refusal:
        raise
    except (ValueError, RecursionError):
        raise malformed("The body is not JSON.") from None
    return decode(payload, kind)


def pack(value: object) -> bytes:
    """Return `value` as zlib-compressed JSON (RFC 1950)."""
    return zlib.compress(encode(value), 6)


def unpack(body: bytes, kind: type[T]) -> T:
    """Return the value in a zlib JSON body; refuse one that is too large before inflating it."""
    if len(body) > BODY_BYTES_MAX:
        raise too_large(len(body))
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(body, PLAIN_BYTES_MAX)
    except zlib.error:
        raise malformed("The body is not zlib-compressed.") from None
    if inflater.unconsumed_tail:
        raise too_large(PLAIN_BYTES_MAX + 1)
    if not inflater.eof or inflater.unused_data:
        raise malformed("The compressed body is cut off or has bytes after its end.")
    return decode(plain, kind)


def _checked_pairs(pairs: list[tuple[str, object]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise malformed(
                f"The field {name[:NAME_CHARACTERS_SHOWN]!r} stands twice in an object."
            )
        seen.add(name)


def malformed(message: str) -> Refusal:
    """Return the refusal of a body that cannot be read."""
    return Refusal(
        code="malformed",
        status=400,
        message=message,
        hint="Correct the value at the named path and send the request again.",
    )


def too_large(size_bytes: int) -> Refusal:
    """Return the refusal of a body over its limit."""
    return Refusal(
        code="body_too_large",
        status=413,
        message=f"The body is {size_bytes} bytes or more; at most {BODY_BYTES_MAX} are read.",
        hint="Send fewer entries in one request.",
    )

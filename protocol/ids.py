"""Identifiers: a short prefix and 144 bits as sortable text, `a_01k9…` for an allocation.

The first 48 bits are the UTC millisecond of birth, so ids sort by age; the other 96 are random, so
that an allocation id, which heads a usage stream, cannot be guessed.  Whoever makes an id brings
time and entropy along: this file reads neither.
"""

import re
from collections.abc import Callable
from typing import NewType

TenantId = NewType("TenantId", str)
ProjectId = NewType("ProjectId", str)
DepartmentId = NewType("DepartmentId", str)
PersonId = NewType("PersonId", str)
SiteId = NewType("SiteId", str)
NodeId = NewType("NodeId", str)
AllocationId = NewType("AllocationId", str)
ApiKeyId = NewType("ApiKeyId", str)
SecretId = NewType("SecretId", str)
SkuId = NewType("SkuId", str)
LeaseId = NewType("LeaseId", int)

PREFIXES = {
    "tenant": "t",
    "project": "p",
    "department": "d",
    "person": "u",
    "site": "s",
    "node": "n",
    "allocation": "a",
    "api_key": "k",
    "secret": "e",
    "session": "ss",
    "link": "ml",
    "request": "r",
    "app": "app",
    "journal": "j",
    "top_up": "tu",
    "refund": "rf",
    "incident": "i",
    "payout": "po",
}
ENTROPY_BYTES = 12
ID_CHARACTERS = 29

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case: no i, l, o, u, and it sorts as the numbers do."""

ID_PATTERN = re.compile(rf"[a-z]{{1,3}}_[{ALPHABET}]{{{ID_CHARACTERS}}}")

NewId = Callable[[str], str]
"""Given a kind (`"allocation"`), return a fresh id of that kind.  Handed in, never imported."""


def new_id(kind: str, *, now_ms: int, entropy: bytes) -> str:
    """Return the id of `kind` born at `now_ms` with 12 bytes of `entropy`."""
    assert len(entropy) == ENTROPY_BYTES
    assert 0 <= now_ms < 1 << 48
    number = (now_ms << 8 * ENTROPY_BYTES) | int.from_bytes(entropy, "big")
    return f"{PREFIXES[kind]}_{base32(number, ID_CHARACTERS)}"


def base32(number: int, characters: int) -> str:
    """Write `number` with exactly so many characters of ALPHABET, most significant first."""
    text = ""
    for _ in range(characters):
        number, digit = divmod(number, 32)
        text = ALPHABET[digit] + text
    assert number == 0
    return text


def is_id(text: str, kind: str) -> bool:
    """Whether `text` has the form of an id of `kind`."""
    return ID_PATTERN.fullmatch(text) is not None and text.partition("_")[0] == PREFIXES[kind]


def born_at_ms(text: str) -> int:
    """Return when the id was made, from its own bits."""
    number = 0
    for character in text.partition("_")[2]:
        number = number * 32 + ALPHABET.index(character)
    return number >> 8 * ENTROPY_BYTES

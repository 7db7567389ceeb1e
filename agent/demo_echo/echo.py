"""What demo-echo answers: the caller's own words, cut into countable tokens; nothing is learned.

A token here is a word or a sign with the blanks before it, so the tokens of a text joined are the
text, and every count can be checked by hand.
"""

import base64
import hashlib
import re
import struct
from dataclasses import dataclass

MODEL = "demo-echo"
PREAMBLE = "demo-echo heard: "
DIMENSIONS = 64
DIMENSIONS_MAX = 4_096
OUTPUT_TOKENS_DEFAULT = 256
TOKEN_PATTERN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+\Z")


@dataclass(frozen=True, slots=True)
class Echo:
    """One answer.

    finish_reason  `stop`, or `length` where the caller's limit cut it
    """

    tokens: tuple[str, ...]
    finish_reason: str


def tokens_of(text: str) -> list[str]:
    """Return the tokens of a text, in order."""
    return TOKEN_PATTERN.findall(text)


def echo(text: str, *, tokens_max: int | None) -> Echo:
    """Return the answer to `text` in at most so many tokens."""
    tokens = tokens_of(PREAMBLE + text)
    limit = OUTPUT_TOKENS_DEFAULT if tokens_max is None else tokens_max
    if len(tokens) > limit:
        return Echo(tuple(tokens[:limit]), "length")
    return Echo(tuple(tokens), "stop")


def embedding(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Return a vector that depends on nothing but the text: its hash, spread from -1 to 1."""
    figures: list[float] = []
    block = 0
    while len(figures) < dimensions:
        digest = hashlib.sha256(f"{block}:{text}".encode()).digest()
        figures += [figure / 32_767.5 - 1 for figure in struct.unpack("<16H", digest)]
        block += 1
    return figures[:dimensions]


def packed(vector: list[float]) -> str:
    """Return a vector as OpenAI's clients ask for it: float32 in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()

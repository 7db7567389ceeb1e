"""A request body into JSON, with one reading only: no doubled names, no NaN, no lone surrogates.

What two parsers could read in two ways would let a caller show one call to the gateway and another
to the engine behind it.
"""

import json
import re
from collections.abc import Iterator

import msgspec

from protocol.refusal import Refusal

DEPTH_MAX = 64
STRING_CHARACTERS_MAX = 8 * 1024 * 1024
NAMES_MAX = 100_000
TOKEN_PATTERN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def read_json(body: bytes) -> dict[str, Json]:
    """Return the object that `body` spells; refuse anything that is not strictly one."""
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX and _depth(body) > DEPTH_MAX:
        raise bad_json(f"nested more than {DEPTH_MAX} levels deep")
    try:
        msgspec.json.decode(body)
        value = json.loads(body, object_pairs_hook=_object)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise bad_json("not valid JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise bad_json("not a JSON object")
    if len(body) > STRING_CHARACTERS_MAX:
        for text in _strings(value):
            if len(text) > STRING_CHARACTERS_MAX:
                raise bad_json(f"holding a string of over {STRING_CHARACTERS_MAX} characters")
    return value


def bad_json(why: str) -> Refusal:
    """Return the refusal of a body for what it is: `nested too deep`."""
    return Refusal(
        code="json_invalid",
        status=400,
        message=f"The request body is {why}.",
        hint="Send one JSON object with each name once.",
    )


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    if len(pairs) > NAMES_MAX:
        raise bad_json(f"an object with over {NAMES_MAX} names")
    read = dict(pairs)
    if len(read) != len(pairs):
        raise bad_json("naming something twice in one object")
    return read


def _depth(body: bytes) -> int:
    """Return how deep the brackets outside strings nest."""
    depth = deepest = 0
    for match in TOKEN_PATTERN.finditer(body):
        token = match.group()
        if token in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
            if deepest > DEPTH_MAX:
                return deepest
        elif token in (b"]", b"}"):
            depth -= 1
    return deepest


def _strings(value: Json) -> Iterator[str]:
    """Yield every string inside, names included."""
    waiting: list[Json] = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, list):
            waiting.extend(inner)
        elif isinstance(inner, dict):
            yield from inner
            waiting.extend(inner.values())

"""A request body into JSON, with one reading only: no doubled names, no NaN, no lone surrogates.

What two parsers could read in two ways would let a caller show one call to the gateway and another
to the engine behind it.
"""

import json
from collections.abc import Iterator

import msgspec

from protocol.refusal import Refusal

DEPTH_MAX = 64
STRING_CHARACTERS_MAX = 8 * 1024 * 1024
TEXTS_MAX = 200_000
CONTAINERS_MAX = 100_000
VALUES_MAX = 1_000_000
"""How many texts, objects and lists, and values of lists and objects one body may spell: so much is
read in a tenth of a second, while the worst body without these bounds takes seven."""

STRUCTURE = b'"[]{},'
NOT_STRUCTURE = bytes(byte for byte in range(256) if byte not in STRUCTURE)

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def read_json(body: bytes) -> dict[str, Json]:
    """Return the object that `body` spells; refuse anything that is not strictly one."""
    _check_structure(body)
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
    read = dict(pairs)
    if len(read) != len(pairs):
        raise bad_json("naming something twice in one object")
    return read


def _check_structure(body: bytes) -> None:
    """Refuse what would take long to read, by counts that a few passes over the bytes give.

    What stands between an even number of quotes and the next one is outside every string, once
    escaped backslashes and quotes are taken out; in a body that is no JSON the counts are of
    something else, but bounded all the same.
    """
    escapes_out = body.replace(rb"\\", b"").replace(rb"\"", b"")
    marks = escapes_out.translate(None, NOT_STRUCTURE)
    if marks.count(b'"') > 2 * TEXTS_MAX:
        raise bad_json(f"holding over {TEXTS_MAX} texts")
    outside = b"".join(marks.split(b'"')[::2])
    if outside.count(b",") > VALUES_MAX:
        raise bad_json(f"holding over {VALUES_MAX} values")
    brackets = outside.translate(None, b",")
    if brackets.count(b"[") + brackets.count(b"{") > CONTAINERS_MAX:
        raise bad_json(f"holding over {CONTAINERS_MAX} objects and lists")
    if len(brackets) > DEPTH_MAX and _depth(brackets) > DEPTH_MAX:
        raise bad_json(f"nested more than {DEPTH_MAX} levels deep")


def _depth(brackets: bytes) -> int:
    """Return how deep brackets nest."""
    depth = deepest = 0
    for bracket in brackets:
        if bracket in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
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

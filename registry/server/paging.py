"""Lists paged by key: a page says where the next begins, so rows that arrive move nothing."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from flask import request

from protocol.refusal import Refusal
from web.view_models.parts import Paging

PAGE_ROWS = 50
CURSOR_CHARACTERS_MAX = 512
KEY_MAX = 2**53 - 1

T = TypeVar("T")


def cursor() -> tuple[str | int, ...] | None:
    """Return the key after which this page begins, or None for the first page."""
    text = request.args.get("after", "")
    if not text:
        return None
    try:
        padded = text[:CURSOR_CHARACTERS_MAX] + "=" * (-len(text) % 4)
        key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        key = None
    if not isinstance(key, list) or not all(map(_is_key_part, key)):
        raise Refusal(
            code="cursor_unreadable",
            status=400,
            message="after: this page of the list cannot be found.",
            hint="Begin at the first page.",
            field="after",
        )
    return tuple(key)


def page_of(
    rows: Sequence[T], key: Callable[[T], tuple[str | int, ...]], *, size: int = PAGE_ROWS
) -> tuple[list[T], Paging]:
    """Return the rows of this page and its neighbours; `rows` holds one more when there is more."""
    shown = list(rows[:size])
    following = _url(key(shown[-1])) if len(rows) > size else None
    return shown, Paging(next_url=following, first_url=_url(None) if cursor() else None)


def _is_key_part(part: object) -> bool:
    """Whether every database takes it: a whole number it can hold, or text it can keep."""
    if isinstance(part, str):
        return part.isprintable()
    return type(part) is int and abs(part) <= KEY_MAX


def _url(key: tuple[str | int, ...] | None) -> str:
    arguments = {name: value for name, value in request.args.items() if name != "after"}
    if key is not None:
        raw = base64.urlsafe_b64encode(json.dumps(key).encode())
        arguments["after"] = raw.decode().rstrip("=")
    return f"{request.path}?{urlencode(arguments)}" if arguments else request.path

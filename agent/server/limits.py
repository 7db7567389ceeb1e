"""What one HTTP request may cost the node: bytes, headers, seconds; and a body read within them.

A connection that has not sent its headers 15 s after it was opened, or after its last answer, is
closed.  A body has 30 s, and after the first 5 s must have come at 1 KiB/s on average.
"""

import asyncio
from collections.abc import Callable

from aiohttp import web

from protocol.refusal import Refusal

HEADERS_S_MAX = 15
"""From the opening of a connection, or its last answer, to the last header of a request."""

BODY_S_MAX = 30
BODY_GRACE_S = 5
BODY_BYTES_PER_S_MIN = 1_024
BODY_BYTES_MAX = 16 * 1024 * 1024
LINE_BYTES_MAX = 8_190
HEADER_BYTES_MAX = 8_190
HEADERS_MAX = 64
UNREAD_BODY_S_MAX = 2
"""How long the rest of a body that nobody wants is read, so that its sender sees the answer."""

STALLED_READER_S_MAX = 60
SHUTDOWN_S_MAX = 10

SINGLE_HEADERS = ("authorization", "content-type", "content-length", "content-encoding")
Seconds = Callable[[], float]


def check_headers(request: web.Request) -> None:
    """Refuse a request that says twice what may be said once, or whose body is packed."""
    for name in SINGLE_HEADERS:
        if len(request.headers.getall(name, ())) > 1:
            raise Refusal(
                code="header_doubled",
                status=400,
                message=f"The header {name} was sent more than once.",
                hint="Send it once.",
                field=name,
            )
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refusal(
            code="body_packed",
            status=400,
            message="Compressed request bodies are not accepted.",
            hint="Send the body as plain JSON, without Content-Encoding.",
            field="content-encoding",
        )


async def read_body(
    request: web.Request, *, bytes_max: int = BODY_BYTES_MAX, seconds: Seconds | None = None
) -> bytes:
    """Return the whole body; refuse one that is too large before it is kept, or comes too slowly.

    seconds  a monotonic clock; the event loop's if not given
    """
    length = request.content_length
    if length is not None and length > bytes_max:
        raise body_too_large(bytes_max)
    if request.content.is_eof():
        return _bounded(request.content.read_nowait(-1), bytes_max)
    clock = seconds or asyncio.get_running_loop().time
    began = clock()
    body = bytearray()
    while not request.content.at_eof():
        allowed_s = seconds_allowed(len(body)) - (clock() - began)
        if allowed_s <= 0:
            raise _too_slow()
        try:
            async with asyncio.timeout(allowed_s):
                body += await request.content.readany()
        except TimeoutError:
            raise _too_slow() from None
        if len(body) > bytes_max:
            raise body_too_large(bytes_max)
    return bytes(body)


def seconds_allowed(received_bytes: int) -> float:
    """Return how long after its beginning a body with so many bytes may still be unfinished."""
    return min(BODY_S_MAX, BODY_GRACE_S + received_bytes / BODY_BYTES_PER_S_MIN)


def body_too_large(bytes_max: int) -> Refusal:
    """Return the refusal of a body over its limit."""
    return Refusal(
        code="body_too_large",
        status=413,
        message=f"The request body is larger than {bytes_max} bytes.",
        hint="Send less in one request.",
    )


def _bounded(body: bytes, bytes_max: int) -> bytes:
    if len(body) > bytes_max:
        raise body_too_large(bytes_max)
    return body


def _too_slow() -> Refusal:
    return Refusal(
        code="body_too_slow",
        status=408,
        message=f"The request body did not arrive within {BODY_S_MAX} s or at the least rate.",
        hint="Send it again over a faster connection.",
    )

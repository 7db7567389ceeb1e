"""Carries a call to a backend and its answer back, byte for byte, within bounds.

Nothing a client sends becomes a header of the backend's request, and of the backend's headers only
the content type comes back.  Memory per stream is one read of each socket; a reader that stalls
holds the engine back, and is cut off after a minute.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from agent.gateway.answers import error_event
from agent.gateway.backends import BackendFailed, Backends, Standing
from agent.gateway.calls import Call
from agent.gateway.token_count import StreamCount

log = logging.getLogger(__name__)

CONNECT_S_MAX = 5
IDLE_S_MAX = 300
"""From the request to the first byte of its answer, and from one byte to the next."""

CALL_S_MAX = 3_600
ANSWER_BYTES_MAX = 64 * 1024 * 1024
CONNECTION_KEPT_S = 4
"""Less than the 5 s after which uvicorn, under most engines, closes an idle connection."""

READ_BYTES = 64 * 1024
WRITE_BYTES = 64 * 1024
QUICK_WRITE_BYTES = 32 * 1024
"""What an empty send buffer always takes without waiting."""

PASSED_STATUSES = frozenset({400, 404, 413, 422})
"""What an engine says about the call itself: the caller gets it in the engine's words."""

STREAM_TYPE = "text/event-stream"
BROKEN_MESSAGE = "The backend broke off; what it produced until then is billed."


class CallerGone(Exception):
    """The caller has closed the connection, or has read nothing of its answer for a minute."""


@dataclass(slots=True)
class Answer:
    """The beginning of a backend's answer: its status and headers are here, its body to come."""

    standing: Standing
    response: aiohttp.ClientResponse

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return self.response.status

    @property
    def is_stream(self) -> bool:
        """Whether the body is a stream of events."""
        return self.response.content_type == STREAM_TYPE

    def end(self) -> None:
        """Let go of it; a body that was not read to its end is broken off, so the engine stops."""
        if not self.response.content.at_eof():
            self.response.close()
        self.standing.in_flight -= 1


BackendSession = aiohttp.ClientSession
"""The connections to the backends, by the name under which node.py hands them over."""


@asynccontextmanager
async def backend_session() -> AsyncIterator[BackendSession]:
    """Keep connections to the backends, one per call in flight, until the end of the block."""
    timeout = aiohttp.ClientTimeout(
        total=CALL_S_MAX, sock_connect=CONNECT_S_MAX, sock_read=IDLE_S_MAX
    )
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=CONNECTION_KEPT_S)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=READ_BYTES,
        skip_auto_headers=("User-Agent",),
    ) as session:
        yield session


async def first_answer(
    session: aiohttp.ClientSession,
    choices: Sequence[Standing],
    call: Call,
    *,
    request_id: str,
    backends: Backends,
    now_ms: int,
) -> Answer:
    """Return the answer of the first choice that gives one; raises BackendFailed if none does.

    A backend that fails before its first byte is noted, and the next one is asked.
    """
    failure = BackendFailed("no backend was asked")
    for standing in choices:
        standing.in_flight += 1
        try:
            response = await _asked(session, standing, call, request_id)
        except BackendFailed as error:
            standing.in_flight -= 1
            failure = error
        except BaseException:
            standing.in_flight -= 1
            raise
        else:
            answer = Answer(standing, response)
            if answer.status == 200 or answer.status in PASSED_STATUSES:
                return answer
            answer.end()
            failure = BackendFailed(f"{standing.backend.name} answered {answer.status}")
        backends.note_failure(standing, now_ms=now_ms)
    raise failure


async def whole_body(answer: Answer, *, bytes_max: int = ANSWER_BYTES_MAX) -> bytes:
    """Return the body of an answer in one piece; raises BackendFailed if it breaks off."""
    body = bytearray()
    try:
        async for piece in answer.response.content.iter_any():
            body += piece
            if len(body) > bytes_max:
                raise BackendFailed(f"{_name(answer)} answered more than {bytes_max} bytes")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise BackendFailed(f"{_name(answer)}: {type(error).__name__}") from error
    return bytes(body)


async def write_whole(
    request: web.Request, body: bytes, headers: dict[str, str], *, stalled_s_max: float
) -> web.StreamResponse:
    """Return an answer in one piece; a large one is written at the pace of its reader."""
    if len(body) <= WRITE_BYTES:
        return web.Response(body=body, content_type="application/json", headers=headers)
    response = web.StreamResponse(headers=headers)
    response.content_type = "application/json"
    response.content_length = len(body)
    try:
        await response.prepare(request)
        for begin in range(0, len(body), WRITE_BYTES):
            await _written(request, response, body[begin : begin + WRITE_BYTES], stalled_s_max)
    except (CallerGone, ConnectionError):
        log.info("caller gone before the end of an answer")
    return response


async def pass_stream(
    request: web.Request,
    response: web.StreamResponse,
    answer: Answer,
    count: StreamCount,
    *,
    stalled_s_max: float,
) -> None:
    """Carry a stream to its caller, counting.

    Raises CallerGone, and BackendFailed when the stream broke, after saying so in the stream.
    """
    content = answer.response.content
    failure: BackendFailed | None = None
    while True:
        try:
            received = await content.readany()
        except (aiohttp.ClientError, TimeoutError) as error:
            failure = BackendFailed(f"{_name(answer)}: {type(error).__name__}")
            break
        if not received:
            break
        passed = count.passed(received)
        if passed:
            await _written(request, response, passed, stalled_s_max)
    rest = count.rest()
    if rest and failure is None:
        await _written(request, response, rest, stalled_s_max)
    if failure is None and not count.finished:
        failure = BackendFailed(f"{_name(answer)}: the stream ended before its end")
    if failure is not None:
        broken = error_event("backend_failed", BROKEN_MESSAGE)
        await _written(request, response, broken, stalled_s_max)
        raise failure


async def _asked(
    session: aiohttp.ClientSession, standing: Standing, call: Call, request_id: str
) -> aiohttp.ClientResponse:
    """Return the response of one backend; raises BackendFailed.

    A kept connection may have been closed by the backend just as it was taken: then nothing was
    begun, and a new one is tried once.
    """
    backend = standing.backend
    headers = {
        "Content-Type": "application/json",
        "Accept": STREAM_TYPE if call.stream else "application/json",
        "Accept-Encoding": "identity",
        "X-Request-Id": request_id,
    }
    if backend.secret is not None:
        headers["Authorization"] = f"Bearer {backend.secret}"
    url = backend.endpoint(call.endpoint)
    for attempt in (1, 2):
        try:
            return await session.post(url, data=call.body, headers=headers, allow_redirects=False)
        except aiohttp.ServerDisconnectedError as error:
            if attempt == 2:
                raise BackendFailed(f"{backend.name}: disconnected") from error
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise BackendFailed(f"{backend.name}: {type(error).__name__}") from error
    raise AssertionError("two attempts, each of which returns or raises")


async def _written(
    request: web.Request, response: web.StreamResponse, passed: bytes, stalled_s_max: float
) -> None:
    """Write to the caller; one that takes nothing for so long is cut off."""
    transport = request.transport
    if transport is None or transport.is_closing():
        raise CallerGone
    try:
        if transport.get_write_buffer_size() == 0 and len(passed) <= QUICK_WRITE_BYTES:
            await response.write(passed)
            return
        async with asyncio.timeout(stalled_s_max):
            await response.write(passed)
    except ConnectionError:
        raise CallerGone from None
    except TimeoutError:
        transport.abort()
        raise CallerGone from None


def _name(answer: Answer) -> str:
    return answer.standing.backend.name

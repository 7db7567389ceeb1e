"""The HTTP frame of the node under well-formed, malformed and slow requests, by raw sockets."""

import asyncio
import itertools
import json
import logging
from typing import Any

import pytest
from aiohttp import web

from agent.server.app import UNREADABLE, make_app, open_socket, serving
from agent.server.limits import BODY_BYTES_MAX, check_headers, read_body, seconds_allowed
from protocol.refusal import Fault, Refusal

routes = web.RouteTableDef()
HOST = b"Host: node\r\n"
BAD_REQUEST = (b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")


@routes.post("/echo")
async def echo(request: web.Request) -> web.Response:
    check_headers(request)
    return web.Response(body=await read_body(request))


@routes.post("/impatient")
async def impatient(request: web.Request) -> web.Response:
    clock = itertools.count(0, 100).__next__
    return web.Response(body=await read_body(request, seconds=clock))


@routes.post("/v1/refused")
@routes.post("/refused")
async def refused(_request: web.Request) -> web.Response:
    raise Refusal(
        code="too_much",
        status=429,
        message="Too much.",
        hint="Wait.",
        field="n",
        limit_source="key",
        retry_after_s=7,
    )


@routes.get("/broken")
async def broken(_request: web.Request) -> web.Response:
    raise RuntimeError("a secret of the inside")


BAD_FRAMES = {
    "1 length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "2 two lengths": b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "3 a signed length": b"Content-Length: +4\r\n\r\nabcd",
    "4 an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "6 a folded header": b"X-One: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "7 a blank before the colon": b"Content-Length : 0\r\n\r\n",
    "8 a zero byte": b"X-One: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "9 two hosts": b"Host: other\r\nContent-Length: 0\r\n\r\n",
    "a length of other digits": "Content-Length: ٣\r\n\r\nabc".encode(),
    "a chunk size with a sign": b"Transfer-Encoding: chunked\r\n\r\n+4\r\nabcd\r\n0\r\n\r\n",
    "chunks named twice": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "a header without a name": b": x\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("attack", BAD_FRAMES)
def test_ambiguous_framing_is_answered_400_and_closed(attack: str) -> None:
    got = exchange(b"POST /echo HTTP/1.1\r\n" + HOST + BAD_FRAMES[attack])

    assert got.startswith(BAD_REQUEST)
    assert got.endswith(UNREADABLE)
    assert b"aiohttp" not in got


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"POST /echo HTTP/1.1\nHost: node\nContent-Length: 0\n\n", id="5 bare LF"),
        pytest.param(b"POST /echo HTTP/1.1\r\nContent-Length: 0\r\n\r\n", id="10 no host"),
        pytest.param(b"POST /echo HTTP/9.9\r\nHost: node\r\n\r\n", id="unknown version"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
        pytest.param(b"POST /echo HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 200 + b"\r\n", id="flood"),
        pytest.param(b"POST /echo HTTP/1.1\r\n" + HOST + b"A: " + b"b" * 9000, id="long header"),
        pytest.param(b"POST /" + b"e" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", id="long line"),
    ],
)
def test_a_request_that_is_none_is_answered_400_and_closed(request_bytes: bytes) -> None:
    got = exchange(request_bytes)

    assert got.startswith(BAD_REQUEST)


def test_a_doubled_credential_is_refused() -> None:
    twice = b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\nContent-Length: 0\r\n\r\n"

    got = exchange(b"POST /echo HTTP/1.1\r\nConnection: close\r\n" + HOST + twice)

    assert got.startswith(b"HTTP/1.1 400 ")
    assert b"header_doubled" in got


def test_a_packed_body_is_refused_unread() -> None:
    packed = b"Content-Encoding: gzip\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"

    got = exchange(b"POST /echo HTTP/1.1\r\n" + HOST + packed)

    assert got.startswith(b"HTTP/1.1 400 ")
    assert b"body_packed" in got


def test_a_body_over_the_limit_is_refused_before_it_comes() -> None:
    length = b"Content-Length: %d\r\n\r\n" % (BODY_BYTES_MAX + 1)

    got = exchange(b"POST /echo HTTP/1.1\r\n" + HOST + length)

    assert got.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_comes_too_slowly_is_refused() -> None:
    begun = b"Content-Length: 100\r\n\r\nabc"

    got = exchange(b"POST /impatient HTTP/1.1\r\n" + HOST + begun)

    assert got.startswith(b"HTTP/1.1 408 ")
    assert b"body_too_slow" in got


def test_a_body_has_five_seconds_then_a_least_rate_and_thirty_in_all() -> None:
    assert seconds_allowed(0) == 5
    assert seconds_allowed(10 * 1024) == 15
    assert seconds_allowed(BODY_BYTES_MAX) == 30


def test_headers_that_never_end_end_the_connection() -> None:
    got = exchange(b"POST /echo HTTP/1.1\r\nHost: no", headers_s_max=0.2)

    assert got == b""


def test_a_chunked_body_arrives_whole() -> None:
    chunks = (
        b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )

    got = exchange(b"POST /echo HTTP/1.1\r\n" + HOST + chunks)

    assert got.startswith(b"HTTP/1.1 200 ")
    assert got.endswith(b"abcde")


def test_a_refusal_is_a_problem_and_under_v1_what_openais_clients_read() -> None:
    problem = _json(exchange(_closing(b"POST /refused")))
    error = _json(exchange(_closing(b"POST /v1/refused")))["error"]

    assert problem["status"] == 429
    assert problem["code"] == error["code"] == "too_much"
    assert problem["limit_source"] == error["limit_source"] == "key"
    assert problem["request_id"].startswith("r_")
    assert error["type"] == "rate_limit_error"
    assert error["param"] == "n"
    assert error["hint"] == "Wait."
    assert b"Retry-After: 7" in exchange(_closing(b"POST /refused"))


def test_an_unknown_path_and_method_are_refused_alike() -> None:
    assert exchange(_closing(b"GET /nothing")).startswith(b"HTTP/1.1 404 ")
    assert exchange(_closing(b"GET /%2e%2e/%2e%2e/etc/passwd")).startswith(b"HTTP/1.1 404 ")
    assert exchange(_closing(b"DELETE /echo")).startswith(b"HTTP/1.1 405 ")


def test_what_breaks_inside_stays_inside(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        got = exchange(_closing(b"GET /broken"))

    assert got.startswith(b"HTTP/1.1 500 ")
    assert b"a secret" not in got
    assert _json(got)["request_id"] == caplog.records[-1].request_id  # type: ignore[attr-defined]


def test_answers_do_not_say_what_serves_them() -> None:
    got = exchange(_closing(b"GET /nothing"))

    assert b"aiohttp" not in got
    assert b"Server: outstation" in got
    assert b"X-Content-Type-Options: nosniff" in got


def test_an_address_in_use_is_named_with_its_remedy() -> None:
    with (
        open_socket("127.0.0.1", 0) as taken,
        pytest.raises(Fault, match=r"Cannot listen on 127\.0\.0\.1 port \d+: .*agent\.toml"),
    ):
        open_socket("127.0.0.1", taken.getsockname()[1])


def exchange(request_bytes: bytes, *, headers_s_max: float = 15) -> bytes:
    """Send bytes to a fresh server; return all that came until it closed the connection."""

    async def talk() -> bytes:
        app = make_app([routes], new_id=lambda _kind: "r_test")
        listening = open_socket("127.0.0.1", 0)
        async with serving(app, listening, headers_s_max=headers_s_max):
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            writer.write(request_bytes)
            async with asyncio.timeout(10):
                got = await reader.read()
            writer.close()
            await writer.wait_closed()
            return got

    return asyncio.run(talk())


def _closing(start: bytes) -> bytes:
    return start + b" HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n" + HOST + b"\r\n"


def _json(got: bytes) -> Any:
    return json.loads(got.partition(b"\r\n\r\n")[2])

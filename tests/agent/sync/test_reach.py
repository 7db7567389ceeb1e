"""How far a look at the registry comes is told step by step: name, way, TLS, answer, clock."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import formatdate

import pytest

from agent.sync.client import Reach, reach

NOW_MS = 1_795_172_400_500
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def says(text: str) -> Answer:
    """A server that says this to whoever calls, and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read(1024)
            writer.write(text.encode())
            await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    return answer


def looked(answer: Answer, *, scheme: str = "http", now_ms: int = NOW_MS) -> Reach:
    calls: list[asyncio.Task[None] | None] = []

    async def heard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(asyncio.current_task())
        await answer(reader, writer)

    async def scenario() -> Reach:
        server = await asyncio.start_server(heard, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            seen = await reach(f"{scheme}://127.0.0.1:{port}", wall=lambda: now_ms)
            await asyncio.sleep(0.05)
            await asyncio.gather(*(call for call in calls if call is not None))
        return seen

    return asyncio.run(scenario())


def http(status: str, at_ms: int = NOW_MS) -> str:
    date = formatdate(at_ms // 1000, usegmt=True)
    return f"HTTP/1.1 {status}\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n"


def test_a_registry_that_answers_tells_its_time_too() -> None:
    assert looked(says(http("200 OK"))) == Reach(skew_ms=0)


@pytest.mark.parametrize("off_ms", [-3_600_000, -7_000, 7_000, 3_600_000])
def test_the_skew_is_our_clock_minus_the_registrys(off_ms: int) -> None:
    assert looked(says(http("200 OK", NOW_MS - off_ms))).skew_ms == off_ms


def test_an_answer_without_a_time_says_nothing_of_the_clock() -> None:
    assert looked(says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) == Reach()


def test_another_status_is_told() -> None:
    seen = looked(says(http("404 Not Found")))

    assert "/healthz answers 404" in str(seen.fault)
    assert "registry_url" in seen.remedy


def test_what_is_no_http_is_told() -> None:
    seen = looked(says("SSH-2.0-OpenSSH_9.2\r\n"))

    assert "gives no HTTP answer" in str(seen.fault)


def test_a_port_without_tls_is_told() -> None:
    seen = looked(says("HTTP/1.1 400 Bad Request\r\n\r\n"), scheme="https")

    assert "speaks no TLS" in str(seen.fault)


def test_a_port_where_nobody_listens_is_told() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        seen = asyncio.run(reach(f"http://127.0.0.1:{port}", wall=lambda: NOW_MS))

    assert seen.fault == f"nothing listens at 127.0.0.1 port {port}"
    assert seen.remedy


def test_a_name_that_nobody_has_is_told() -> None:
    seen = asyncio.run(reach("http://no-such-host.invalid", wall=lambda: NOW_MS))

    assert seen.fault == "no machine is known by the name no-such-host.invalid"
    assert "resolv.conf" in seen.remedy

"""A caller who stops reading holds back its own stream alone, and is cut off."""

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from agent.gateway.backends import Backend
from tests.agent.gateway.rig import SECRET, running_backend, running_gateway

PIECE = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 8_000 + b'"}}]}\n\n'
PIECES = 4_000
CALL = json.dumps(
    {"model": "demo-echo", "messages": [{"role": "user", "content": "a"}], "stream": True}
).encode()


def test_a_reader_who_stops_holds_the_engine_back_and_hurts_nobody(tmp_path: Path) -> None:
    sent = 0

    async def floods(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        if not (await request.json()).get("stream"):
            return web.json_response({"usage": {"prompt_tokens": 1, "completion_tokens": 1}})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(PIECES):
            await response.write(PIECE)
            sent += 1
        return response

    async def scenario() -> None:
        async with (
            running_backend(floods) as url,
            running_gateway(tmp_path, [Backend("flood", url)]) as rig,
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {SECRET}"}) as http,
        ):
            stalled = await _stalled(rig.url)
            while await _grows(lambda: sent) or sent == 0:
                pass
            async with http.post(
                f"{rig.base_url}/chat/completions",
                json={"model": "demo-echo", "messages": [{"role": "user", "content": "a"}]},
            ) as answer:
                assert answer.status == 200
            held_back = sent
            stalled.close()
            rows = await rig.closed_rows()

            assert held_back < PIECES // 2
            (left,) = [row for row in rows if row["outcome"] == "client_gone"]
            assert 0 < int(str(left["tokens_out"])) <= sent
            assert left["exactness"] == "estimated"

    asyncio.run(scenario())


def test_a_reader_who_takes_nothing_for_too_long_is_cut_off(tmp_path: Path) -> None:
    async def floods(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(PIECES):
            await response.write(PIECE)
        return response

    async def scenario() -> None:
        async with (
            running_backend(floods) as url,
            running_gateway(tmp_path, [Backend("flood", url)], stalled_reader_s_max=0.2) as rig,
        ):
            with await _stalled(rig.url):
                rows = await rig.rows()
                while not rows or rows[0]["state"] == "open":
                    await asyncio.sleep(0.05)
                    rows = await rig.rows()

            assert rows[0]["outcome"] == "client_gone"
            assert rig.room.admission.under_way == 0

    asyncio.run(scenario())


async def _stalled(url: str) -> socket.socket:
    """Return a connection that has asked for a stream and reads none of it."""
    address = urlsplit(url)
    quiet = socket.socket()
    quiet.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    quiet.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(quiet, (address.hostname, address.port))
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {SECRET}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(CALL)}\r\n\r\n"
    )
    await loop.sock_sendall(quiet, head.encode() + CALL)
    return quiet


async def _grows(value: Callable[[], int]) -> bool:
    before = value()
    await asyncio.sleep(0.2)
    return value() != before

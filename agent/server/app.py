"""The node's HTTP application, and the socket it listens on.

The framework's own documentation, debug pages and access log are off; X-Forwarded-* headers are
never read.  A handler whose client goes is not cancelled: what it began is finished and billed.
"""

import asyncio
import functools
import logging
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from agent.server.limits import (
    BODY_BYTES_MAX,
    HEADER_BYTES_MAX,
    HEADERS_MAX,
    HEADERS_S_MAX,
    LINE_BYTES_MAX,
    SHUTDOWN_S_MAX,
    UNREAD_BODY_S_MAX,
)
from agent.server.problems import NEW_ID, PROBLEM_TYPE, SERVER_NAME, add_headers, problems
from protocol.ids import NewId
from protocol.refusal import Fault

BACKLOG = 1_024

UNREADABLE = (
    b'{"type":"about:blank","title":"This is no HTTP request.","status":400,'
    b'"code":"request_unreadable"}'
)
BROKEN = b'{"type":"about:blank","title":"Something broke on this node.","status":500}'

quiet = logging.getLogger("agent.server.framing")
"""What the framework says about requests it could not read; off unless debugging."""

quiet.setLevel(logging.CRITICAL)


Application = web.Application
"""What is served, by the name under which node.py hands it on."""


def make_app(routes: Iterable[web.RouteTableDef], *, new_id: NewId) -> web.Application:
    """Return an application with these routes inside the one frame for refusals and faults.

    What the handlers need is put into it by key afterwards: `app[GATEWAY] = …`.
    """
    app = web.Application(middlewares=[problems], client_max_size=BODY_BYTES_MAX, logger=quiet)
    app[NEW_ID] = new_id
    app.on_response_prepare.append(add_headers)
    for table in routes:
        app.add_routes(table)
    return app


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket listening at this address; port 0 takes a free one."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise Fault(
            f"Cannot listen on {host} port {port}: {error.strerror}. Choose another address or "
            "port in agent.toml, or stop what uses this one."
        ) from error


@asynccontextmanager
async def serving(
    app: web.Application, listening: socket.socket, *, headers_s_max: float = HEADERS_S_MAX
) -> AsyncIterator[str]:
    """Serve `app` until the end of the block; yields its URL on this machine.

    headers_s_max  within which a connection must have sent its headers; idle ones end by it too
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S_MAX)
    await runner.setup()
    assert runner.server is not None
    loop = asyncio.get_running_loop()
    frames = functools.partial(Frames, runner.server, loop=loop, keepalive_timeout=headers_s_max)
    accepting = await loop.create_server(frames, sock=listening, backlog=BACKLOG)
    try:
        host, port = listening.getsockname()[:2]
        yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    finally:
        accepting.close()
        await runner.cleanup()


class Frames(web.RequestHandler):
    """One connection: what cannot be read as a request gets one constant answer and the end."""

    def __init__(self, server: web.Server, **settings: Any) -> None:
        super().__init__(
            server,
            access_log=quiet,
            logger=quiet,
            lingering_time=UNREAD_BODY_S_MAX,
            auto_decompress=False,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            max_headers=HEADERS_MAX,
            **settings,
        )

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to what was no request; nothing of it is repeated or logged."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        response = web.Response(
            status=status,
            body=UNREADABLE if status < 500 else BROKEN,
            content_type=PROBLEM_TYPE,
            headers={"Server": SERVER_NAME},
        )
        response.force_close()
        return response

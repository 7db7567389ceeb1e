"""GET /healthz, for everybody and tiny; GET /metrics, for the operator's monitoring alone."""

import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from agent.metrics.exposition import CONTENT_TYPE, exposition
from agent.metrics.figures import Scrape, families

FORWARDING_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")

OWN_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
HOST_PORT = re.compile(r":[0-9]{1,5}\Z", re.ASCII)

routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class Metrics:
    """What these handlers need.

    token  that monitoring sends as a bearer; None allows this machine itself and nobody else
    """

    gather: Callable[[], Awaitable[Scrape]]
    token: str | None = field(default=None, repr=False)


METRICS: web.AppKey[Metrics] = web.AppKey("metrics")


@routes.get("/healthz")
async def show_life(_request: web.Request) -> web.Response:
    """Say that the node answers."""
    return web.Response(text='{"status":"ok"}', content_type="application/json")


@routes.get("/metrics")
async def show_metrics(request: web.Request) -> web.Response:
    """Return the node's figures; whoever may not see them is told there is nothing here."""
    room = request.app[METRICS]
    if not _may_read(request, room.token):
        raise web.HTTPNotFound
    text = exposition(families(await room.gather()))
    return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})


def _may_read(request: web.Request, token: str | None) -> bool:
    """Whether the token was sent; or, where none is set, whether this machine itself is asking.

    A proxy on this machine asks for others: what it forwarded does not count as this machine.
    """
    if token is not None:
        sent = request.headers.get("Authorization", "").encode()
        return hmac.compare_digest(sent, f"Bearer {token}".encode())
    if any(name in request.headers for name in FORWARDING_HEADERS):
        return False
    # A page of anybody's, whose name was made to lead here, asks under that name.
    if HOST_PORT.sub("", request.host.lower()) not in OWN_HOSTS:
        return False
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False

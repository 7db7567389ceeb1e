"""GET /log: the usage log as C2SP tlog-tiles, for the site and its auditors.

`/log/<epoch>/` is the log whose origin ends with that epoch, and `/log/` the present one.  Its
checkpoint and hashes are for everybody: they say nothing of what was used.  Entries are for whoever
sends the site's audit token; without one set, nobody is answered.
"""

import hmac
from dataclasses import dataclass, field

from aiohttp import web

from agent.store.thread import Store
from agent.usage_log.operations import find_checkpoint, read_tile
from protocol.refusal import Refusal
from protocol.tiles import TileName, read_tile_name

BRIEFLY = "public, max-age=2"
FOR_AN_HOUR = "public, max-age=3600"
FOR_EVER = "public, max-age=31536000, immutable"
PRIVATELY = "private, max-age=31536000, immutable"
TILES_AT_ONCE_MAX = 8
"""Tiles read for callers at a time; the store has other work."""

routes = web.RouteTableDef()


@dataclass(slots=True)
class UsageLog:
    """What these handlers need.

    token  of the site and its auditors; None where the site has set none
    """

    store: Store
    token: str | None = field(default=None, repr=False)
    reading: int = 0


USAGE_LOG: web.AppKey[UsageLog] = web.AppKey("usage_log")


@routes.get("/log/checkpoint")
@routes.get(r"/log/{epoch:0|[1-9][0-9]{0,9}}/checkpoint")
async def show_checkpoint(request: web.Request) -> web.Response:
    """Return the last checkpoint that the registry has cosigned."""
    found = await _checkpoint(request)
    return web.Response(
        text=found, content_type="text/plain", charset="utf-8", headers={"Cache-Control": BRIEFLY}
    )


@routes.get(r"/log/tile/{name:.+}")
@routes.get(r"/log/{epoch:0|[1-9][0-9]{0,9}}/tile/{name:.+}")
async def show_tile(request: web.Request) -> web.Response:
    """Return the hashes of a tile or, to an auditor, the entries of a bundle."""
    name = read_tile_name(request.match_info["name"])
    if name is None:
        raise web.HTTPNotFound
    if name.level is None:
        _check_auditor(request)
    await _checkpoint(request)
    tile = await _read(request.app[USAGE_LOG], name)
    if not tile:
        raise web.HTTPNotFound
    headers = {"Content-Type": "application/octet-stream", "Cache-Control": _kept(request, name)}
    if name.level is None:
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=tile, headers=headers)


async def _checkpoint(request: web.Request) -> str:
    """Return the checkpoint of the log that was asked for."""
    found = await request.app[USAGE_LOG].store.run(find_checkpoint)
    asked = request.match_info.get("epoch")
    if found is None or asked not in (None, str(found[0])):
        raise web.HTTPNotFound
    return found[1]


async def _read(room: UsageLog, name: TileName) -> bytes | None:
    if room.reading >= TILES_AT_ONCE_MAX:
        raise Refusal(
            code="log_busy",
            status=429,
            message="Others are reading this log.",
            hint="Ask again in a moment, for fewer tiles at a time.",
            retry_after_s=1,
        )
    room.reading += 1
    try:
        return await room.store.run(read_tile, name)
    finally:
        room.reading -= 1


def _kept(request: web.Request, name: TileName) -> str:
    """Return how long the answer may be kept: another epoch may follow at the address without."""
    if name.level is None:
        return PRIVATELY if "epoch" in request.match_info else "private, max-age=3600"
    return FOR_EVER if "epoch" in request.match_info else FOR_AN_HOUR


def _check_auditor(request: web.Request) -> None:
    """Refuse whoever has not sent the site's audit token."""
    token = request.app[USAGE_LOG].token
    sent = request.headers.get("Authorization", "").encode()
    if token is None or not hmac.compare_digest(sent, f"Bearer {token}".encode()):
        raise Refusal(
            code="audit_token_wrong",
            status=401,
            message="Entries of the usage log are for this site and its auditors.",
            hint="Send the token of gateway.audit_token_file as a bearer.",
        )

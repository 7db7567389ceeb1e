"""Refusals and faults into HTTP: RFC 9457 problems, or the shape OpenAI's clients read.

The one place of the agent where everything is caught: what is not a refusal becomes a bare 500 with
the request's id, and its story goes to the log alone.
"""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from protocol.ids import NewId
from protocol.refusal import Refusal
from protocol.wire import encode

log = logging.getLogger(__name__)

REQUEST_ID = web.RequestKey("request_id", str)
NEW_ID: web.AppKey[NewId] = web.AppKey("new_id")
OPENAI_PREFIXES = ("/v1/", "/api/v1/")
PROBLEM_TYPE = "application/problem+json"
SERVER_NAME = "outstation"

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
"""The `type` of an OpenAI-shaped error by status; anything from 500 on is `server_error`."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its id; turn what its handler raised into an answer."""
    request_id = request.app[NEW_ID]("request")
    request[REQUEST_ID] = request_id
    try:
        return await handler(request)
    except Refusal as refusal:
        return refused(request, refusal)
    except web.HTTPException as answer:
        if answer.status < 400:
            raise
        return refused(request, _named(answer))
    except Exception:
        log.exception("request failed", extra={"request_id": request_id})
        return refused(request, _unexpected(request_id))


def refused(request: web.Request, refusal: Refusal) -> web.Response:
    """Return the answer that says `refusal` to this caller."""
    openai = request.path.startswith(OPENAI_PREFIXES)
    body = openai_error(refusal) if openai else _problem(refusal, request[REQUEST_ID])
    response = web.Response(
        status=refusal.status,
        body=encode(body),
        content_type="application/json" if openai else PROBLEM_TYPE,
    )
    if refusal.retry_after_s is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_s)
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if refusal.status in (408, 413):
        response.force_close()
    return response


def openai_error(refusal: Refusal) -> dict[str, object]:
    """Return a refusal as OpenAI's clients read it, with our `limit_source` and `hint` beside."""
    return {
        "error": {
            "message": f"{refusal.message} {refusal.hint}".strip(),
            "type": ERROR_TYPES.get(
                refusal.status,
                "server_error" if refusal.status >= 500 else "invalid_request_error",
            ),
            "code": refusal.code,
            "param": refusal.field,
            "limit_source": refusal.limit_source,
            "hint": refusal.hint,
        }
    }


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Say on every answer which request it belongs to, and nothing about what serves it.

    Nothing is kept on the way unless its handler says so.
    """
    response.headers["x-request-id"] = request.get(REQUEST_ID, "")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Server"] = SERVER_NAME


def _problem(refusal: Refusal, request_id: str) -> dict[str, object]:
    return {
        "type": "about:blank",
        "title": refusal.message,
        "status": refusal.status,
        "code": refusal.code,
        "detail": refusal.message,
        "hint": refusal.hint,
        "field": refusal.field,
        "limit_source": refusal.limit_source,
        "request_id": request_id,
    }


def _named(answer: web.HTTPException) -> Refusal:
    """Return the refusal that a bare HTTP error of the framework stands for."""
    code, message, hint = {
        404: ("not_found", "There is nothing at this address.", "Check the path."),
        405: ("method_wrong", "This address takes another method.", "Check the method."),
        413: ("body_too_large", "The request body is too large.", "Send less in one request."),
    }.get(answer.status, ("refused", "The request was refused.", ""))
    return Refusal(code=code, status=answer.status, message=message, hint=hint)


def _unexpected(request_id: str) -> Refusal:
    return Refusal(
        code="internal_error",
        status=500,
        message=f"Something broke on this node; request {request_id}.",
        hint="Try again; if it happens again, give this request's id to the operator.",
    )

"""Every answer no and every breakage, in the form the asker reads.

Pages get a page, the node a problem document (RFC 9457), OpenAI-compatible paths OpenAI's error
object, the rest of `/api` the envelope of our own clients.  Whatever is no refusal becomes a bare
500 with the request id; what broke is in the log under that id.
"""

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, g, make_response, redirect, render_template, request
from werkzeug.exceptions import HTTPException

from protocol.refusal import Refusal
from protocol.wire import encode
from registry.server.live import is_part_wanted
from registry.server.session import NO_ORGANIZATION, known_actor, request_id
from web.view_models.problems import ErrorPage
from web.view_models.shell import Shell

log = logging.getLogger(__name__)

OPENAI_PATHS = (
    "/v1/",
    "/api/v1/models",
    "/api/v1/chat/",
    "/api/v1/completions",
    "/api/v1/embeddings",
)
OPENAI_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}
RETRYABLE = frozenset({429, 503})
HTTP_REFUSALS = {
    400: ("malformed", "The request cannot be read.", "Correct it and send it again."),
    404: ("not_found", "There is nothing at this address.", "Check the address."),
    405: ("method_not_allowed", "This address does not take that method.", "Check the method."),
    413: ("body_too_large", "The body is too large.", "Send less at once."),
    415: ("media_type", "This media type is not read here.", "Send the documented one."),
}
FAULT = Refusal(
    code="internal",
    status=500,
    message="Something broke on our side.",
    hint="Try again in a minute; if it stays so, give the request id to support.",
)
NOTHING_DONE = "Nothing was changed and nothing was charged."
MAYBE_DONE = "A form that is sent again takes effect once, so nothing is charged twice."


def install(app: Flask, shell: Callable[[], Shell]) -> None:
    """Make the application answer refusals and faults.  shell: builds what surrounds a page"""

    def answer(error: Exception) -> Response:
        refusal = _as_refusal(error)
        extra = {"code": refusal.code, "status": refusal.status, "path": request.path}
        if refusal.status >= 500 and (error is not refusal or error.__cause__ is not None):
            log.error("request broke", extra=extra, exc_info=error)
        else:
            log.info("request refused", extra=extra)
        return _answer(refusal, shell)

    app.register_error_handler(Exception, answer)


def _as_refusal(error: Exception) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, HTTPException) and error.code is not None and 400 <= error.code < 500:
        code, message, hint = HTTP_REFUSALS.get(error.code, HTTP_REFUSALS[400])
        return Refusal(code=code, status=error.code, message=message, hint=hint)
    return FAULT


def _answer(refusal: Refusal, shell: Callable[[], Shell]) -> Response:
    path = request.path
    if path.startswith("/node/"):
        answer = _json(_problem(refusal), refusal.status, "application/problem+json")
    elif path.startswith(OPENAI_PATHS):
        answer = _json(_openai(refusal), refusal.status)
    elif path.startswith("/api/"):
        answer = _json(_envelope(refusal), refusal.status)
    elif refusal.status == 401 and request.method == "GET" and not is_part_wanted():
        target = quote(request.full_path.rstrip("?"), safe="/?=&")
        answer = make_response(redirect(f"/login?next={quote(target, safe='')}", code=303))
    elif refusal.code == NO_ORGANIZATION and request.method == "GET" and not is_part_wanted():
        answer = make_response(redirect("/onboarding", code=303))
    else:
        answer = make_response(_page(refusal, shell), refusal.status)
    if refusal.retry_after_s is not None:
        answer.headers["Retry-After"] = str(refusal.retry_after_s)
    return answer


def _json(body: dict[str, Any], status: int, kind: str = "application/json") -> Response:
    return Response(encode(body), status=status, content_type=kind)


def _problem(refusal: Refusal) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": refusal.message,
        "status": refusal.status,
        "code": refusal.code,
        "detail": refusal.message,
        "hint": refusal.hint,
        "field": refusal.field,
        "limit_source": refusal.limit_source,
        "request_id": request_id(),
    }


def _openai(refusal: Refusal) -> dict[str, Any]:
    broken = "server_error" if refusal.status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": f"{refusal.message} {refusal.hint}".strip(),
            "type": OPENAI_TYPES.get(refusal.status, broken),
            "param": refusal.field,
            "code": refusal.code,
            "limit_source": refusal.limit_source,
        },
        "request_id": request_id(),
    }


def _envelope(refusal: Refusal) -> dict[str, Any]:
    return {
        "ok": False,
        "error": {
            "code": refusal.code,
            "message": refusal.message,
            "hint": refusal.hint,
            "retryable": refusal.status in RETRYABLE,
            "limit_source": refusal.limit_source,
            "field": refusal.field,
        },
        "request_id": request_id(),
    }


def _page(refusal: Refusal, shell: Callable[[], Shell]) -> str:
    page = ErrorPage(
        status=refusal.status,
        code=refusal.code,
        title=refusal.message,
        means=MAYBE_DONE if refusal.status >= 500 else NOTHING_DONE,
        remedy=refusal.hint,
        request_id=request_id(),
        links=_links(refusal),
    )
    # A page about a breakage is drawn without the shell: the shell asks the database.
    if refusal.status < 500 and known_actor() is not None and "in_shell" not in g:
        g.in_shell = True
        return render_template("shared/error.html", page=page, shell=shell())
    return render_template("shared/error.html", page=page)


def _links(refusal: Refusal) -> tuple[tuple[str, str], ...]:
    if refusal.status == 401:
        return (("Sign in", "/login"),)
    if refusal.limit_source == "balance":
        return (("Add funds", "/billing/add-funds"), ("Go to Home", "/"))
    return (("Go to Home", "/"),)

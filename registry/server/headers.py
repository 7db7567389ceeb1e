"""What every answer carries: the security headers, the request id, and what caches may keep."""

from flask import Response, request

from registry.server.session import request_id

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
POLICY = "Content-Security-Policy"
HEADERS = {
    POLICY: CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
STRICT_TRANSPORT = "max-age=31536000"


def leading_to(answer: Response, origin: str) -> Response:
    """Let the forms of this one page lead on to another origin.

    Browsers hold the answer to a form against `form-action` as well, wherever it redirects to.
    """
    assert origin.startswith(("https://", "http://"))
    assert not set(origin) & set("; ,'")
    wider = CONTENT_SECURITY_POLICY.replace("form-action 'self'", f"form-action 'self' {origin}")
    answer.headers[POLICY] = wider
    return answer


def check_host() -> None:
    """Refuse a request for a host that is not ours, before anything else looks at it."""
    if request.routing_exception is not None and request.routing_exception.code == 400:
        raise request.routing_exception


def protect(answer: Response) -> Response:
    """Add the headers; runs after every view."""
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers["X-Request-Id"] = request_id()
    if request.is_secure:
        answer.headers["Strict-Transport-Security"] = STRICT_TRANSPORT
    if "Cache-Control" not in answer.headers:
        answer.headers["Cache-Control"] = "no-store"
    if answer.mimetype == "text/html":
        answer.vary.update(("HX-Request", "Cookie"))
    return answer

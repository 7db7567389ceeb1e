"""Forms of pages: each proves that our own page sent it, and is filled in again when refused.

A token is the HMAC of a secret cookie that no other origin can read: the session's, or before
sign-in one made for forms.  A request that a browser says came from elsewhere is refused before
its token is looked at.
"""

import base64
import hmac
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec
from urllib.parse import urlsplit

from flask import Response, g, make_response, request
from flask.typing import ResponseReturnValue

from protocol.refusal import Refusal
from registry.server.session import entropy, frame, session_token
from web.view_models.parts import FieldError, Form

FORM_COOKIE = "__Host-outstation-form"
FORM_COOKIE_BYTES = 32
FORM_COOKIE_CHARACTERS_MAX = 64
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PROGRAM_PATHS = ("/api/", "/node/", "/v1/")
"""Paths that look at no cookie: who asks is proven by a key or a signature there."""

VALUE_CHARACTERS_MAX = 65_536

P = ParamSpec("P")


def csrf_token() -> str:
    """Return the token that every form of this page carries as `csrf_token`.

    A session that is over loses its cookie with this very answer, so no token may hang on it.
    """
    session = "" if g.get("session_is_over", False) else session_token()
    return _token(session or _form_secret())


def check_form() -> None:
    """Refuse an unsafe request that our own page did not send; runs before every view."""
    if request.method in SAFE_METHODS or request.path.startswith(PROGRAM_PATHS):
        return
    if not (_is_same_site() and _has_token()):
        raise Refusal(
            code="form_not_ours",
            status=403,
            message="This form was not sent by a page of this site, or its page is too old.",
            hint="Open the page again and send the form from there.",
        )


def keep_form_cookie(answer: Response) -> Response:
    """Set the cookie behind the tokens of forms that are shown before sign-in."""
    made = g.get("form_secret_made")
    if made:
        answer.set_cookie(FORM_COOKIE, made, secure=True, httponly=True, samesite="Lax", path="/")
    return answer


def refilled(
    show: Callable[..., str],
) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """When the view refuses a field, answer 422 with its page and what was typed.

    show  returns the page; called with what the view is called with and `form=`
    """

    def decorate(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def shown(*args: P.args, **named: P.kwargs) -> ResponseReturnValue:
            try:
                return view(*args, **named)
            except Refusal as refusal:
                if refusal.field is None or refusal.status >= 500:
                    raise
                errors = (FieldError(refusal.field, _sentence(refusal)),)
                form = Form(values=form_values(), errors=errors)
                return make_response(show(*args, form=form, **named), 422)

        return shown

    return decorate


def form_values() -> dict[str, str]:
    """Return what was typed, without the token."""
    return {name: value for name, value in request.form.items() if name != "csrf_token"}


def read_field(name: str, *, label: str, characters_max: int = 256) -> str:
    """Return a field without the space around it; refuse one that is absent or too long."""
    value = request.form.get(name, "").strip()
    if not value:
        raise field_refused(name, f"{label} is needed.")
    if len(value) > characters_max:
        raise field_refused(name, f"{label} may have at most {characters_max} characters.")
    if any(ord(character) < 0x20 for character in value):
        raise field_refused(name, f"{label} may not hold control characters.")
    return value


def read_choice(name: str, choices: tuple[str, ...], *, label: str) -> str:
    """Return a field that must be one of the choices."""
    value = request.form.get(name, "")
    if value not in choices:
        raise field_refused(name, f"{label}: choose one of those offered.")
    return value


def read_count(name: str, *, label: str, least: int, most: int) -> int:
    """Return a field that must be a whole number in plain digits."""
    value = request.form.get(name, "").strip()
    is_plain = value.isascii() and value.isdigit() and len(value) <= 12
    if not is_plain or not least <= int(value) <= most:
        raise field_refused(name, f"{label} must be a whole number from {least} to {most}.")
    return int(value)


def field_refused(field: str, message: str, *, code: str = "field_invalid") -> Refusal:
    """Return the refusal of one field of a form."""
    return Refusal(code=code, status=422, message=message, field=field)


def safe_next(target: str) -> str:
    """Return an address on this site to go on to; anything else becomes Home."""
    is_path = target.startswith("/") and not target.startswith(("//", "/\\"))
    is_plain = all(" " < character < "\x7f" and character != "\\" for character in target)
    return target if is_path and is_plain and len(target) <= 2048 else "/"


def _sentence(refusal: Refusal) -> str:
    _, colon, rest = refusal.message.partition(f"{refusal.field}: ")
    message = rest[:1].upper() + rest[1:] if colon else refusal.message
    return f"{message} {refusal.hint}".strip()


def _is_same_site() -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    return origin == frame().origin or urlsplit(origin).netloc == request.host


def _has_token() -> bool:
    sent = request.form.get("csrf_token", "") or request.headers.get("X-CSRF-Token", "")
    secret = session_token() or _sent_form_secret()
    return bool(secret) and hmac.compare_digest(sent.encode(), _token(secret).encode())


def _token(secret: str) -> str:
    return hmac.new(secret.encode(), b"outstation form", "sha256").hexdigest()


def _form_secret() -> str:
    sent = _sent_form_secret()
    if sent:
        return sent
    if "form_secret_made" not in g:
        raw = base64.urlsafe_b64encode(entropy(FORM_COOKIE_BYTES))
        g.form_secret_made = raw.decode().rstrip("=")
    return str(g.form_secret_made)


def _sent_form_secret() -> str:
    sent = request.cookies.get(FORM_COOKIE, "")
    return sent if 32 <= len(sent) <= FORM_COOKIE_CHARACTERS_MAX else ""

"""Who asks, with which connection, when: what a view may ask of its request.

The room knows neither people nor keys.  `app.py` hands over two functions that find the actor
behind a session's token or an API key; a view is marked `signed_in`, `with_api_key` or neither.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, Protocol, TypeVar
from urllib.parse import urlsplit

from flask import Response, current_app, g, request

from protocol.clock import Clock
from protocol.ids import ENTROPY_BYTES
from protocol.ids import new_id as make_id
from protocol.refusal import Refusal
from registry.store.database import Database, Db

EXTENSION = "outstation"
SESSION_COOKIE = "__Host-outstation"
"""Holds a session's token.  Browsers take it over plain HTTP from loopback addresses alone."""

NO_ORGANIZATION = "no_organization"
BEARER = "Bearer "
TOKEN_CHARACTERS_MAX = 128

P = ParamSpec("P")
T = TypeVar("T")


class Actor(Protocol):
    """Who asks, as `registry.tenants.roles.SignedIn` says it: a person or an API key."""

    @property
    def subject(self) -> str: ...
    @property
    def person_id(self) -> str | None: ...
    @property
    def api_key_id(self) -> str | None: ...
    @property
    def email(self) -> str: ...
    @property
    def tenant_id(self) -> str | None: ...
    @property
    def project_id(self) -> str | None: ...
    @property
    def roles(self) -> frozenset[str]: ...
    @property
    def site_ids(self) -> frozenset[str]: ...
    @property
    def is_platform_admin(self) -> bool: ...
    @property
    def request_id(self) -> str: ...
    @property
    def source(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came with a token.  source: the address it came from"""

    token: str
    now_ms: int
    request_id: str
    source: str


FindActor = Callable[[Db, Asked], Actor | None]
"""Return who holds the token, or None."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What the application was built with.

    entropy  returns so many random bytes
    origin   scheme, host and port under which people reach the registry
    """

    database: Database
    clock: Clock
    entropy: Callable[[int], bytes]
    origin: str
    find_person: FindActor
    find_api_key: FindActor


def frame() -> Frame:
    """Return what the application was built with."""
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, Frame)
    return found


def db() -> Db:
    """Return the request's handle on the database."""
    if "db" not in g:
        g.db = frame().database.db()
    found = g.db
    assert isinstance(found, Db)
    return found


def now_ms() -> int:
    """Return the time, UTC epoch milliseconds."""
    return frame().clock()


def entropy(count: int) -> bytes:
    """Return so many random bytes, fit for secrets."""
    return frame().entropy(count)


def new_id(kind: str) -> str:
    """Return a fresh id of a kind (`"allocation"`)."""
    return make_id(kind, now_ms=now_ms(), entropy=entropy(ENTROPY_BYTES))


def request_id() -> str:
    """Return the id of this request, the same in its answer, its log lines and its audit."""
    if "request_id" not in g:
        g.request_id = new_id("request")
    return str(g.request_id)


def asked_url() -> str:
    """Return the address the client asked for, as it signed it: a proxy may have ended its TLS."""
    origin = frame().origin
    if request.host == urlsplit(origin).netloc:
        return origin + request.full_path.rstrip("?")
    return request.url


def source_address() -> str:
    """Return the address the request came from."""
    return request.remote_addr or ""


def session_token() -> str:
    """Return the token in the session cookie, or nothing."""
    token = request.cookies.get(SESSION_COOKIE, "")
    return token if len(token) <= TOKEN_CHARACTERS_MAX else ""


def find_actor() -> Actor | None:
    """Return who is signed in by cookie, or None."""
    if "actor" not in g:
        g.actor = _found(frame().find_person, session_token())
        g.session_is_over = g.actor is None and bool(session_token())
    found: Actor | None = g.actor
    return found


def known_actor() -> Actor | None:
    """Return who asks if this request has found that out already, without asking the database."""
    known: Actor | None = g.get("actor")
    return known


def actor() -> Actor:
    """Return who asks; for views that are `signed_in` or `with_api_key`."""
    found: Actor | None = g.actor
    assert found is not None
    return found


def signed_in(view: Callable[P, T]) -> Callable[P, T]:
    """Let only a signed-in person with an organization reach the view."""

    @wraps(view)
    def checked(*args: P.args, **named: P.kwargs) -> T:
        found = find_actor()
        if found is None:
            raise not_signed_in()
        if found.tenant_id is None:
            raise _no_organization()
        return view(*args, **named)

    return checked


def signed_in_anywhere(view: Callable[P, T]) -> Callable[P, T]:
    """Let only a signed-in person reach the view, with or without an organization."""

    @wraps(view)
    def checked(*args: P.args, **named: P.kwargs) -> T:
        if find_actor() is None:
            raise not_signed_in()
        return view(*args, **named)

    return checked


def expire_bad_session(answer: Response) -> Response:
    """Take a session's cookie away when the session is over; runs after every view."""
    if g.get("session_is_over", False):
        answer.delete_cookie(SESSION_COOKIE, secure=True, httponly=True, samesite="Lax")
    return answer


def with_api_key(view: Callable[P, T]) -> Callable[P, T]:
    """Let only the holder of an API key reach the view; a session's cookie counts for nothing."""

    @wraps(view)
    def checked(*args: P.args, **named: P.kwargs) -> T:
        g.actor = _found(frame().find_api_key, bearer_token())
        if g.actor is None:
            raise _key_refused()
        return view(*args, **named)

    return checked


def bearer_token() -> str:
    """Return the token of the Authorization header, or nothing."""
    header = request.headers.get("Authorization", "")
    if not header.startswith(BEARER) or len(header) > len(BEARER) + TOKEN_CHARACTERS_MAX:
        return ""
    return header.removeprefix(BEARER).strip()


def not_signed_in() -> Refusal:
    """Return the refusal of a page that needs a session."""
    return Refusal(
        code="not_signed_in",
        status=401,
        message="You are not signed in.",
        hint="Sign in and open this page again.",
    )


def _found(find: FindActor, token: str) -> Actor | None:
    if not token:
        return None
    asked = Asked(token, now_ms(), request_id=request_id(), source=source_address())
    with db().reading():
        return find(db(), asked)


def _no_organization() -> Refusal:
    return Refusal(
        code=NO_ORGANIZATION,
        status=403,
        message="You belong to no organization yet.",
        hint="Create one at /onboarding, or ask an owner to add you.",
    )


def _key_refused() -> Refusal:
    return Refusal(
        code="invalid_api_key",
        status=401,
        message="The API key is absent, unknown, expired or revoked.",
        hint="Send the header Authorization: Bearer ok_… with a key from /access/api-keys.",
    )

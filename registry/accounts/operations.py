"""Asking for a letter, signing in with what it holds, signing out."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from protocol.clock import MINUTE_MS
from protocol.ids import NewId
from registry.accounts import queries
from registry.accounts.letters import Letter, sign_in_letter
from registry.accounts.queries import Link, LinkHashes, Person
from registry.accounts.sign_in import (
    CODE_BYTES,
    CODE_TRIES_MAX,
    CODES_PER_ADDRESS_MAX,
    CODES_PER_SOURCE_MAX,
    LETTERS_PER_ADDRESS_AND_SOURCE_MAX,
    LETTERS_PER_ADDRESS_MAX,
    LETTERS_PER_SOURCE_MAX,
    LINK_LIFE_MS,
    SECRET_BYTES,
    SESSION_LIFE_MS,
    after_try,
    code_hash,
    code_refused,
    code_text,
    link_refused,
    secret_hash,
    secret_text,
    too_often,
)
from registry.audit.operations import record
from registry.store.database import Db


@dataclass(frozen=True, slots=True)
class Caller:
    """The request that asks: its time, its address, and what it may draw on.

    admins  addresses that are platform admins by the configuration
    """

    now_ms: int
    source: str
    request_id: str
    new_id: NewId
    entropy: Callable[[int], bytes]
    admins: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that has just begun; its token is known to nobody else."""

    token: str
    person_id: str
    email: str


def ask_for_letter(
    db: Db, email: str, *, base_url: str, next_url: str, caller: Caller
) -> tuple[Letter, str]:
    """Return the letter to send and the secret that ties its code to the browser that asked."""
    # A stranger who asks for letters to somebody's address keeps nobody else from asking.
    asked = f"letter:{email} from:{caller.source}"
    _count_try(db, asked, LETTERS_PER_ADDRESS_AND_SOURCE_MAX, caller.now_ms)
    _count_try(db, f"letter:{email}", LETTERS_PER_ADDRESS_MAX, caller.now_ms)
    _count_try(db, f"letters from:{caller.source}", LETTERS_PER_SOURCE_MAX, caller.now_ms)
    token = secret_text(caller.entropy(SECRET_BYTES))
    attempt = secret_text(caller.entropy(SECRET_BYTES))
    code = code_text(caller.entropy(CODE_BYTES))
    hashes = LinkHashes(
        token=secret_hash(token), attempt=secret_hash(attempt), code=code_hash(attempt, code)
    )
    times = (caller.now_ms, caller.now_ms + LINK_LIFE_MS)
    queries.insert_link(db, caller.new_id("link"), email, hashes, source=caller.source, times=times)
    letter = sign_in_letter(
        email,
        base_url=base_url,
        token=token,
        code=code,
        next_url=next_url,
        minutes=LINK_LIFE_MS // MINUTE_MS,
    )
    return letter, attempt


def find_open_link(db: Db, *, now_ms: int, token: str = "", attempt: str = "") -> Link | None:
    """Return the link of a token or an attempt, if it can still be used."""
    if token:
        link = queries.find_link(db, token_hash=secret_hash(token))
    else:
        link = queries.find_link(db, attempt_hash=secret_hash(attempt))
    is_open = link is not None and link.used_at_ms is None and link.expires_at_ms > now_ms
    return link if is_open else None


def sign_in_by_link(db: Db, token: str, *, old_token: str, caller: Caller) -> SignedIn:
    """Spend a link and begin a session; the browser's old one ends."""
    link = find_open_link(db, token=token, now_ms=caller.now_ms)
    if link is None:
        raise link_refused()
    return _signed_in(db, link, old_token=old_token, caller=caller, way="link")


def is_code_right(db: Db, attempt: str, code: str, *, caller: Caller) -> bool:
    """Count a try of the code and say whether it is right.

    The count is kept whatever comes after, so this runs in a unit of its own.
    """
    link = find_open_link(db, attempt=attempt, now_ms=caller.now_ms)
    _count_try(db, f"codes from:{caller.source}", CODES_PER_SOURCE_MAX, caller.now_ms)
    if link is None:
        return False
    _count_try(db, f"code:{link.email}", CODES_PER_ADDRESS_MAX, caller.now_ms)
    queries.note_code_try(db, link.link_id)
    is_equal = hmac.compare_digest(code_hash(attempt, code), link.code_hash)
    return is_equal and link.code_tries < CODE_TRIES_MAX


def sign_in_by_code(db: Db, attempt: str, *, old_token: str, caller: Caller) -> SignedIn:
    """Spend the link of an attempt whose code was right, and begin a session."""
    link = find_open_link(db, attempt=attempt, now_ms=caller.now_ms)
    if link is None:
        raise code_refused()
    return _signed_in(db, link, old_token=old_token, caller=caller, way="code")


def sign_out(db: Db, token: str, *, caller: Caller) -> None:
    """End the session with this token, if there is one."""
    found = queries.find_session(db, secret_hash(token), now_ms=caller.now_ms)
    if found is None:
        return
    queries.move_session_to_ended(db, secret_hash(token), now_ms=caller.now_ms)
    record(
        db,
        actor=found.person_id,
        action="session.ended",
        object_id=found.session_id,
        tenant_id=found.tenant_id,
        now_ms=caller.now_ms,
        request_id=caller.request_id,
        source=caller.source,
    )


def ensure_person(db: Db, email: str, *, caller: Caller) -> Person:
    """Return the person with this address, made on the spot if new; admins by configuration."""
    is_admin = email in caller.admins
    fresh = Person(caller.new_id("person"), email, is_admin, is_disabled=False)
    if queries.insert_person(db, fresh, now_ms=caller.now_ms):
        return fresh
    found = queries.find_person(db, email)
    assert found is not None
    if is_admin:
        queries.note_platform_admin(db, found.person_id)
    return found


def _signed_in(db: Db, link: Link, *, old_token: str, caller: Caller, way: str) -> SignedIn:
    if not queries.move_link_to_used(db, link.link_id, now_ms=caller.now_ms):
        raise link_refused()
    person = ensure_person(db, link.email, caller=caller)
    if person.is_disabled:
        raise link_refused()
    if old_token:
        queries.move_session_to_ended(db, secret_hash(old_token), now_ms=caller.now_ms)
    token = secret_text(caller.entropy(SECRET_BYTES))
    session_id = caller.new_id("session")
    queries.insert_session(
        db,
        session_id,
        person_id=person.person_id,
        token_hash=secret_hash(token),
        source=caller.source,
        times=(caller.now_ms, caller.now_ms + SESSION_LIFE_MS),
    )
    record(
        db,
        actor=person.person_id,
        action="session.created",
        object_id=session_id,
        tenant_id=None,
        now_ms=caller.now_ms,
        detail={"way": way},
        request_id=caller.request_id,
        source=caller.source,
    )
    return SignedIn(token=token, person_id=person.person_id, email=person.email)


def _count_try(db: Db, subject: str, most: int, now_ms: int) -> None:
    window = after_try(queries.find_window(db, subject), now_ms=now_ms)
    if window.tries > most:
        raise too_often(window, now_ms=now_ms)
    queries.keep_window(db, subject, window)

"""The same key, the same answer: a request sent twice is done once.

The answer is kept for 24 hours under who asked and the key, beside a hash of what was asked.  The
same key with another body is refused, so a reused key can never hide a second wish.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from flask import request

from protocol.clock import DAY_MS
from protocol.refusal import Refusal
from registry.server import queries
from registry.server.session import actor, db, now_ms

KEY_PATTERN = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
BOUNDS = "It must be 8 to 64 of the letters A-Z and a-z, digits, - and _."
KEPT_MS = DAY_MS
BODY_CHARACTERS_MAX = 65_536
NOT_ASKED = frozenset({"csrf_token", "idempotency_key"})


@dataclass(frozen=True, slots=True)
class Kept:
    """What a request was answered with: where a page goes on to, or a JSON body."""

    status: int
    body: str
    is_replay: bool = False


def once(work: Callable[[], Kept], *, key: str | None = None) -> Kept:
    """Return `work()`, or what it returned when the same request came before; in the open unit.

    key  from the field `idempotency_key` or the header `Idempotency-Key` when left out
    """
    given = sent_key() if key is None else key
    scope = f"{actor().subject} {request.method} {request.path}"
    asked = asked_hash()
    found = queries.find_answer(db(), scope=scope, key=given, now_ms=now_ms())
    if found is not None:
        if found.asked_hash != asked:
            raise _reused(given, found.body)
        return Kept(found.status, found.body, is_replay=True)
    done = work()
    assert len(done.body) <= BODY_CHARACTERS_MAX
    answer = queries.Answer(asked, done.status, done.body)
    queries.keep_answer(db(), answer, scope=scope, key=given, expires_at_ms=now_ms() + KEPT_MS)
    return done


def sent_key() -> str:
    """Return the key of this request; refuse one that is absent or not a key."""
    key = request.headers.get("Idempotency-Key") or request.form.get("idempotency_key", "")
    if not key:
        raise Refusal(
            code="idempotency_key_missing",
            status=400,
            message="This request needs an idempotency key, and none was sent.",
            hint="Send the header Idempotency-Key with a value of your own, or reload the page. "
            f"{BOUNDS}",
        )
    if KEY_PATTERN.fullmatch(key) is None:
        raise Refusal(
            code="idempotency_key_invalid",
            status=400,
            message=f"The idempotency key of {len(key)} characters is none. {BOUNDS}",
            hint="Make one random key per request and repeat it when you repeat the request.",
        )
    return key


def asked_hash() -> str:
    """Return the hash of what is asked: the form's fields, or the body as it came."""
    if request.form:
        fields = sorted((n, v) for n, v in request.form.items(multi=True) if n not in NOT_ASKED)
        raw = json.dumps(fields).encode()
    else:
        raw = request.get_data()
    return hashlib.sha256(raw).hexdigest()


def _reused(key: str, body: str) -> Refusal:
    made = f" It was already used for {body}." if body.startswith("/") else ""
    return Refusal(
        code="idempotency_key_reused",
        status=409,
        message=f"The idempotency key {key} was used before with another request.{made}",
        hint="Use a new key for a new request; the earlier one stands as it was done.",
    )

"""Signing in by mail: an address, a link and a code, each good once and for a short time.

Whoever can read a mailbox may sign in; what they may do is another matter.  The answer to a
request for a letter is the same for every address.
"""

import hashlib
import re
from dataclasses import dataclass

from protocol.clock import DAY_MS, MINUTE_MS
from protocol.ids import base32
from protocol.refusal import Refusal

LINK_LIFE_MS = 15 * MINUTE_MS
SESSION_LIFE_MS = 7 * DAY_MS
RESEND_MS = 30_000
SECRET_BYTES = 32
SECRET_CHARACTERS = 52
CODE_BYTES = 8
CODE_DIGITS = 6
CODE_TRIES_MAX = 5
WINDOW_MS = 15 * MINUTE_MS
LETTERS_PER_ADDRESS_AND_SOURCE_MAX = 5
LETTERS_PER_ADDRESS_MAX = 40
LETTERS_PER_SOURCE_MAX = 30
CODES_PER_ADDRESS_MAX = 15
CODES_PER_SOURCE_MAX = 30

EMAIL_CHARACTERS_MAX = 254
EMAIL_PATTERN = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Window:
    """How often somebody tried since a moment."""

    tries: int
    begun_at_ms: int


def read_email(text: str) -> str:
    """Return the address in lower case; refuse what no mail could reach."""
    email = text.strip().lower()
    if len(email) > EMAIL_CHARACTERS_MAX or EMAIL_PATTERN.fullmatch(email) is None:
        raise Refusal(
            code="email_invalid",
            status=422,
            message="This is not an e-mail address.",
            hint="Write it as name@example.com.",
            field="email",
        )
    return email


def masked_email(email: str) -> str:
    """Return the address as a bystander may see it: `a…a@umoja.example`."""
    name, _, domain = email.partition("@")
    return f"{name[0]}…{name[-1] if len(name) > 1 else ''}@{domain}"


def secret_text(entropy: bytes) -> str:
    """Return 256 random bits as text: of a link, of a sign-in attempt or of a session."""
    assert len(entropy) == SECRET_BYTES
    return base32(int.from_bytes(entropy, "big"), SECRET_CHARACTERS)


def code_text(entropy: bytes) -> str:
    """Return a code of six digits."""
    assert len(entropy) == CODE_BYTES
    return f"{int.from_bytes(entropy, 'big') % 10**CODE_DIGITS:0{CODE_DIGITS}d}"


def secret_hash(secret: str) -> str:
    """Return what is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def code_hash(attempt: str, code: str) -> str:
    """Return what is stored of a code: hashed with the attempt's secret, or it could be guessed."""
    return hashlib.sha256(f"{attempt}:{code}".encode()).hexdigest()


def after_try(window: Window | None, *, now_ms: int) -> Window:
    """Return the window with one more try in it; an old one is begun anew."""
    if window is None or now_ms - window.begun_at_ms >= WINDOW_MS:
        return Window(1, now_ms)
    return Window(window.tries + 1, window.begun_at_ms)


def too_often(window: Window, *, now_ms: int) -> Refusal:
    """Return the refusal of one try too many."""
    left_s = max(1, (window.begun_at_ms + WINDOW_MS - now_ms) // 1000)
    return Refusal(
        code="too_many_tries",
        status=429,
        message="Too many tries to sign in.",
        hint=f"Wait {-(-left_s // 60)} minutes, then try again.",
        retry_after_s=left_s,
    )


def link_refused() -> Refusal:
    """Return the refusal of a link that was used, has ended, or never was."""
    return Refusal(
        code="link_spent",
        status=400,
        message="This sign-in link was used already or has ended.",
        hint="Ask for a new one below; a link works once and for 15 minutes.",
    )


def code_refused() -> Refusal:
    """Return the refusal of a code that is wrong, used, ended or tried too often."""
    return Refusal(
        code="code_wrong",
        status=422,
        message="This code is wrong, was used already, or has ended.",
        hint="Look at the newest letter, or have one sent again.",
        field="code",
    )

"""Signed HTTP between node and registry: RFC 9421 signatures over RFC 9530 digests.

A request covers `@method @authority @target-uri content-digest`; its answer covers `@status
content-digest` and carries the request's nonce, so an answer cannot be moved to another request.
The structured-field work is `http_message_signatures`; which components, which key, which age and
which nonce are ours to judge, with a clock that is handed in.
"""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    algorithms,
)
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from protocol.clock import SECOND_MS
from protocol.refusal import SignatureRefused
from protocol.signing import SigningKey, key_id, public_bytes, read_public_key

REQUEST_COMPONENTS = ("@method", "@authority", "@target-uri", "content-digest")
ANSWER_COMPONENTS = ("@status", "content-digest")
AGE_MS_MAX = 300_000
"""How far `created` may lie from our clock, either way."""

NONCE_CHARACTERS_MAX = 64
LABEL = "outstation"


@dataclass(frozen=True, slots=True)
class SignedBy:
    """Who signed, when by their own clock, and under which nonce."""

    key_id: str
    created_at_ms: int
    nonce: str


@dataclass(slots=True)
class _Request:
    """What the library reads of a request."""

    method: str
    url: str
    headers: dict[str, str]


@dataclass(slots=True)
class _Answer:
    """What the library reads of an answer."""

    status_code: int
    headers: dict[str, str]


def signed_request_headers(
    *, method: str, url: str, body: bytes, key: SigningKey, now_ms: int, nonce: str
) -> dict[str, str]:
    """Return the headers that sign a request: Content-Digest, Signature-Input, Signature."""
    message = _Request(method=method, url=url, headers={})
    _sign(message, REQUEST_COMPONENTS, body=body, key=key, now_ms=now_ms, nonce=nonce)
    return message.headers


def signed_answer_headers(
    *, status: int, body: bytes, key: SigningKey, now_ms: int, nonce: str
) -> dict[str, str]:
    """Return the headers that sign an answer; `nonce` is the one of the request it answers."""
    message = _Answer(status_code=status, headers={})
    _sign(message, ANSWER_COMPONENTS, body=body, key=key, now_ms=now_ms, nonce=nonce)
    return message.headers


def read_signed_request(
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    public_key_of: Callable[[str], bytes | None],
    now_ms: int,
) -> SignedBy:
    """Return who signed the request; refuse an absent, wrong, stale or partial signature.

    public_key_of  the trusted public key of a key id, or None
    """
    message = _Request(method=method, url=url, headers=_wanted(headers))
    return _read(message, REQUEST_COMPONENTS, body, public_key_of, now_ms)


def read_signed_answer(
    *,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    public_key_of: Callable[[str], bytes | None],
    now_ms: int | None,
    nonce: str,
) -> SignedBy:
    """Return who signed the answer to the request with `nonce`; refuse any other.

    now_ms  None where the reader's clock is not to be trusted yet: the nonce alone then proves
            that the answer is fresh
    """
    message = _Answer(status_code=status, headers=_wanted(headers))
    signed_by = _read(message, ANSWER_COMPONENTS, body, public_key_of, now_ms)
    if signed_by.nonce != nonce:
        raise SignatureRefused("signature_replayed", "The answer belongs to another request.")
    return signed_by


class _Keys(HTTPSignatureKeyResolver):
    """Keys by id, for the library."""

    def __init__(
        self,
        public_key_of: Callable[[str], bytes | None] | None = None,
        private_key: SigningKey | None = None,
    ) -> None:
        self._public_key_of = public_key_of
        self._private_key = private_key

    def resolve_public_key(self, key_id: str) -> Any:
        assert self._public_key_of is not None
        public_key = self._public_key_of(key_id)
        if public_key is None:
            raise SignatureRefused(
                "unknown_key",
                f"No trusted key has the id {key_id[:NONCE_CHARACTERS_MAX]!r}.",
                hint="Enrol this node, or rotate its key with the registry.",
            )
        return read_public_key(public_key)

    def resolve_private_key(self, key_id: str) -> Any:
        return self._private_key


class _Verifier(HTTPMessageVerifier):
    """The library's verifier without its clock: ages are judged in `_read`."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        if "created" not in sig_input.params or "nonce" not in sig_input.params:
            raise SignatureRefused("signature_incomplete", "created and nonce must be signed.")


def _sign(
    message: _Request | _Answer,
    components: tuple[str, ...],
    *,
    body: bytes,
    key: SigningKey,
    now_ms: int,
    nonce: str,
) -> None:
    signer = HTTPMessageSigner(
        signature_algorithm=algorithms.ED25519, key_resolver=_Keys(private_key=key)
    )
    signer.sign(
        message,
        key_id=key_id(public_bytes(key)),
        created=datetime.datetime.fromtimestamp(now_ms // SECOND_MS, tz=datetime.UTC),
        nonce=nonce,
        label=LABEL,
        covered_component_ids=components,
        body=body,
    )


def _read(
    message: _Request | _Answer,
    components: tuple[str, ...],
    body: bytes,
    public_key_of: Callable[[str], bytes | None],
    now_ms: int | None,
) -> SignedBy:
    verifier = _Verifier(
        signature_algorithm=algorithms.ED25519, key_resolver=_Keys(public_key_of=public_key_of)
    )
    try:
        (result,) = verifier.verify(message, max_age=None, require_components=components, body=body)
    except (HTTPMessageSignaturesException, ValueError, KeyError, TypeError) as error:
        if isinstance(error.__cause__, SignatureRefused):
            raise error.__cause__ from None
        raise SignatureRefused(
            "signature_wrong", "The request or answer is not signed, or its signature is wrong."
        ) from None
    if result.body is None:
        raise SignatureRefused("signature_incomplete", "The body is not covered by the signature.")
    created_at_ms = int(result.parameters["created"]) * SECOND_MS
    nonce = str(result.nonce or "")
    if not 16 <= len(nonce) <= NONCE_CHARACTERS_MAX:
        raise SignatureRefused("signature_incomplete", "The nonce must have 16 to 64 characters.")
    if now_ms is not None and abs(now_ms - created_at_ms) > AGE_MS_MAX:
        raise SignatureRefused(
            "signature_stale",
            f"Signed {(now_ms - created_at_ms) // SECOND_MS} s ago by the signer's clock.",
            hint="Set the clock of this machine: it may differ by at most 300 s.",
        )
    return SignedBy(
        key_id=str(result.parameters["keyid"]), created_at_ms=created_at_ms, nonce=nonce
    )


def _wanted(headers: Mapping[str, str]) -> dict[str, str]:
    """Return only the headers a signature concerns, by their lower-case names."""
    lower = {name.lower(): value for name, value in headers.items()}
    names = ("signature", "signature-input", "content-digest")
    return {name: lower[name] for name in names if name in lower}

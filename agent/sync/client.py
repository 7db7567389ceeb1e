"""The registry over HTTP: signed requests out, answers believed only under a trusted signature."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import httpx
import msgspec

from agent.sync.exchange import RefusedByRegistry, RegistrySilent, checked_enrolment, pinned_key_id
from protocol.clock import SECOND_MS
from protocol.enrolment import EnrolAnswer, EnrolRequest
from protocol.http_signature import read_signed_answer, signed_request_headers
from protocol.refusal import Refusal, SignatureRefused
from protocol.signing import SigningKey, key_id
from protocol.sync import SyncAnswer, SyncRequest
from protocol.wire import BODY_BYTES_MAX, decode, pack, unpack

CONNECT_S = 5.0
READ_S = 20.0
WHOLE_S = 60.0
"""The longest a call may take from its begin to the last byte of its answer."""

RETRY_AFTER_S_MAX = 3_600
SYNC_PATH = "/node/v1/sync"
ENROL_PATH = "/node/v1/enrol"

PublicKeyOf = Callable[[str], bytes | None]
T = TypeVar("T")


class Registry(Protocol):
    """What the node asks of the registry."""

    async def sync(
        self, request: SyncRequest, *, trusted: Mapping[str, bytes], now_ms: int
    ) -> tuple[SyncAnswer, str]:
        """Return the answer and the key id it is signed with.

        Raises RegistrySilent when none could be believed, RefusedByRegistry when it said no.
        """

    async def enrol(self, request: EnrolRequest, *, now_ms: int) -> EnrolAnswer:
        """Return the answer, signed by the key that the secret pins; raises as `sync` does."""


class _Problem(msgspec.Struct, frozen=True):
    """What is read of a problem document (RFC 9457)."""

    code: str = "refused"
    detail: str = ""
    title: str = ""
    hint: str = ""


class _Received(msgspec.Struct, frozen=True):
    """An answer, unverified."""

    status: int
    headers: dict[str, str]
    body: bytes


class RegistryClient:
    """The registry at one address.  Redirects are not followed: a signature covers its address."""

    def __init__(
        self,
        base_url: str,
        key: SigningKey,
        *,
        new_nonce: Callable[[], str],
        agent_version: str,
    ) -> None:
        """Call the registry at `base_url`; new_nonce: 16 to 64 characters nobody can guess."""
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._new_nonce = new_nonce
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            follow_redirects=False,
            headers={
                "User-Agent": f"outstation-agent/{agent_version}",
                "Accept-Encoding": "identity",
            },
        )

    async def sync(
        self, request: SyncRequest, *, trusted: Mapping[str, bytes], now_ms: int
    ) -> tuple[SyncAnswer, str]:
        """Make the one call."""
        received, nonce = await self._call(SYNC_PATH, pack(request), now_ms=now_ms)
        if received.status != 200:
            raise _refusal(received, trusted.get, nonce)
        signed_by = _signer(received, trusted.get, nonce)
        return _believed(lambda: unpack(received.body, SyncAnswer)), signed_by

    async def enrol(self, request: EnrolRequest, *, now_ms: int) -> EnrolAnswer:
        """Spend the secret."""
        pinned_key_id(request.secret)
        received, nonce = await self._call(ENROL_PATH, pack(request), now_ms=now_ms)
        if received.status != 200:
            raise _refusal(received, lambda _: None, nonce)
        answer = _believed(lambda: decode(received.body, EnrolAnswer))
        pinned = checked_enrolment(request, answer)
        _signer(received, {key_id(pinned): pinned}.get, nonce)
        return answer

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def _call(self, path: str, body: bytes, *, now_ms: int) -> tuple[_Received, str]:
        url, nonce = self._base_url + path, self._new_nonce()
        headers = signed_request_headers(
            method="POST", url=url, body=body, key=self._key, now_ms=now_ms, nonce=nonce
        )
        headers["Content-Type"] = "application/zlib"
        try:
            async with (
                asyncio.timeout(WHOLE_S),
                self._http.stream("POST", url, content=body, headers=headers) as answer,
            ):
                received = await _whole(answer)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            why = str(error) or type(error).__name__
            raise RegistrySilent(f"The registry at {self._base_url}: {why}.") from error
        return received, nonce


async def _whole(answer: httpx.Response) -> _Received:
    """Return the answer with its body, or stop reading at the limit."""
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            raise RegistrySilent(f"The registry's answer is over {BODY_BYTES_MAX} bytes.")
    return _Received(answer.status_code, dict(answer.headers.items()), bytes(body))


def _signer(received: _Received, public_key_of: PublicKeyOf, nonce: str) -> str:
    """Return the key id under which the answer is signed; one that is not counts as no answer."""
    try:
        signed_by = read_signed_answer(
            status=received.status,
            headers=received.headers,
            body=received.body,
            public_key_of=public_key_of,
            now_ms=None,
            nonce=nonce,
        )
    except SignatureRefused as refused:
        raise RegistrySilent(
            f"What answered is not the registry this node trusts: {refused.message}"
        ) from refused
    return signed_by.key_id


def _believed(read: Callable[[], T]) -> T:
    try:
        return read()
    except Refusal as refusal:
        raise RegistrySilent(f"The registry's answer cannot be read: {refusal.message}") from None


def _refusal(
    received: _Received, public_key_of: PublicKeyOf, nonce: str
) -> RefusedByRegistry | RegistrySilent:
    """Return what an answer other than 200 means.

    Its clock is believed only under its signature; a refusal itself needs none, since all it can
    do is make the node wait.
    """
    retry_after_ms = _retry_after_ms(received.headers)
    if received.status >= 500 or received.status < 400 or received.status == 429:
        return RegistrySilent(
            f"The registry answered {received.status}.", retry_after_ms=retry_after_ms
        )
    try:
        problem = decode(received.body, _Problem)
    except Refusal:
        problem = _Problem(detail=f"The registry answered {received.status}.")
    registry_ms = None
    try:
        signed_by = read_signed_answer(
            status=received.status,
            headers=received.headers,
            body=received.body,
            public_key_of=public_key_of,
            now_ms=None,
            nonce=nonce,
        )
        registry_ms = signed_by.created_at_ms
    except SignatureRefused:
        pass
    return RefusedByRegistry(
        code=problem.code,
        status=received.status,
        message=problem.detail or problem.title or "The registry refused.",
        hint=problem.hint,
        registry_ms=registry_ms,
        retry_after_ms=retry_after_ms,
    )


def _retry_after_ms(headers: Mapping[str, str]) -> int:
    """Return what Retry-After asks for in seconds, within an hour; dates are not read."""
    lower = {name.lower(): value for name, value in headers.items()}
    text = lower.get("retry-after", "").strip()
    if not text.isascii() or not text.isdecimal() or len(text) > 6:
        return 0
    return min(int(text), RETRY_AFTER_S_MAX) * SECOND_MS

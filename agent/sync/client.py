"""The registry over HTTP: signed requests out, answers believed only under a trusted signature."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from agent.sync.exchange import RefusedByRegistry, RegistrySilent, checked_enrolment, pinned_key_id
from protocol.clock import SECOND_MS, Clock
from protocol.enrolment import EnrolAnswer, EnrolRequest
from protocol.http_signature import read_signed_answer, signed_request_headers
from protocol.refusal import Refusal, SignatureRefused
from protocol.signing import SigningKey, key_id
from protocol.sync import LogPull, LogPulled, SyncAnswer, SyncRequest
from protocol.wire import BODY_BYTES_MAX, decode, pack, unpack

CONNECT_S = 5.0
READ_S = 20.0
LOOK_S = 10.0
WHOLE_S = 60.0
"""The longest a call may take from its begin to the last byte of its answer."""

RETRY_AFTER_S_MAX = 3_600
SYNC_PATH = "/node/v1/sync"
ENROL_PATH = "/node/v1/enrol"
PULL_PATH = "/node/v1/log"
LIFE_PATH = "/healthz"
HTTP_OK = 200

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

    async def pull(self, asked: LogPull, *, trusted: Mapping[str, bytes], now_ms: int) -> LogPulled:
        """Return entries of this node's own log; raises as `sync` does."""

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
        key: Callable[[], SigningKey],
        *,
        new_nonce: Callable[[], str],
        agent_version: str,
    ) -> None:
        """Call the registry at `base_url`.

        key        returns the one that signs now
        new_nonce  returns 16 to 64 characters nobody can guess
        """
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

    async def pull(self, asked: LogPull, *, trusted: Mapping[str, bytes], now_ms: int) -> LogPulled:
        """Ask for entries that this node has lost."""
        received, nonce = await self._call(PULL_PATH, pack(asked), now_ms=now_ms)
        if received.status != 200:
            raise _refusal(received, trusted.get, nonce)
        _signer(received, trusted.get, nonce)
        return _believed(lambda: unpack(received.body, LogPulled))

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
            method="POST", url=url, body=body, key=self._key(), now_ms=now_ms, nonce=nonce
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


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a look at the registry came, without a signature.

    fault    why it came no further, in a sentence; None if the registry answered
    remedy   what to do about it
    skew_ms  our clock minus the registry's, which tells whole seconds; None where it told none
    """

    fault: str | None = None
    remedy: str = ""
    skew_ms: int | None = None


async def reach(base_url: str, *, wall: Clock) -> Reach:
    """Ask the registry whether it is there, and what it makes of the time; read nothing else."""
    url = base_url.rstrip("/") + LIFE_PATH
    timeout = httpx.Timeout(LOOK_S, connect=CONNECT_S)
    began_ms = wall()
    try:
        async with (
            asyncio.timeout(LOOK_S),
            httpx.AsyncClient(timeout=timeout, follow_redirects=False) as http,
            http.stream("GET", url) as answer,
        ):
            status, told = answer.status_code, answer.headers.get("Date", "")
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        return await _unreached(base_url, str(error) or "no answer in time")
    date = parsedate_tz(told)
    skew_ms = None
    if date is not None:
        # A whole second stands for its middle; our own time is that of the middle of the call.
        skew_ms = (began_ms + wall()) // 2 - (mktime_tz(date) * SECOND_MS + SECOND_MS // 2)
    if status == HTTP_OK:
        return Reach(skew_ms=skew_ms)
    return Reach(
        fault=f"{url} answers {status}, not {HTTP_OK}",
        remedy="Check registry_url; if it is right, the registry or the proxy before it is not "
        "well: ask who runs it.",
        skew_ms=skew_ms,
    )


async def _unreached(base_url: str, why: str) -> Reach:
    """Return at which step a connection fails: the name, the way there, TLS, or the answer."""
    parts = urlsplit(base_url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    try:
        async with asyncio.timeout(CONNECT_S):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
            address = str(found[-1][4][0])
            _, writer = await asyncio.open_connection(
                address, port, ssl=is_tls or None, server_hostname=host if is_tls else None
            )
            writer.transport.abort()
    except socket.gaierror:
        return Reach(
            fault=f"no machine is known by the name {host}",
            remedy="Check registry_url, and the resolver of this machine (/etc/resolv.conf).",
        )
    except ssl.SSLCertVerificationError as error:
        return Reach(
            fault=f"the certificate of {host} is not accepted: {error.verify_message}",
            remedy="Check the clock and the name in registry_url; install the certificate "
            "authority if the registry has one of its own.",
        )
    except ssl.SSLError as error:
        return Reach(
            fault=f"{host} port {port} speaks no TLS ({error.reason})",
            remedy="Check the port in registry_url, and whether it begins with http:// instead.",
        )
    except ConnectionRefusedError:
        return Reach(
            fault=f"nothing listens at {host} port {port}",
            remedy="Check registry_url; if it is right, the registry does not run.",
        )
    except OSError:
        return Reach(
            fault=f"{host} port {port} cannot be reached",
            remedy=f"Check the uplink, and let this machine call out to TCP port {port}.",
        )
    return Reach(
        fault=f"{host} port {port} takes the connection but gives no HTTP answer ({why})",
        remedy="Check the port in registry_url, and any proxy in between.",
    )

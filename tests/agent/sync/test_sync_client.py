"""The client over real HTTP: what it believes, what it takes for silence, what it passes on."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import TypeVar

import pytest
from aiohttp import web

from agent.sync.client import RegistryClient
from agent.sync.exchange import Held, Observed, RefusedByRegistry, RegistrySilent, sync_request
from protocol.enrolment import EnrolAnswer, EnrolRequest
from protocol.http_signature import read_signed_request, signed_answer_headers
from protocol.refusal import Refusal, SignatureRefused
from protocol.signing import SigningKey
from protocol.sync import LogAnswer, SyncAnswer, SyncRequest
from protocol.wire import BODY_BYTES_MAX, encode, pack, unpack
from tests.agent.sync.test_exchange import HOST, SECRET
from tests.fakes.agent_store import (
    BEGIN_MS,
    DOMAIN,
    NODE_ID,
    NODE_KEY,
    NODE_PUBLIC,
    REGISTRY_KEY,
    REGISTRY_PUBLIC,
)
from tests.fakes.registry_uplink import TRUST, other_trust

TRUSTED = {TRUST.key_id: REGISTRY_PUBLIC}
REQUEST = sync_request(
    Held(NODE_ID, "boot", TRUSTED, None, None, None),
    Observed("http://10.0.0.1:8090", HOST, (), (), (), ()),
    sequence=1,
    sent_at_ms=BEGIN_MS,
    node_time_ms=BEGIN_MS,
    leases=[],
    log=None,
    agent_version="1",
)
ANSWER = SyncAnswer(
    now_ms=BEGIN_MS,
    log=LogAnswer(epoch=0, size=0),
    leases=(),
    trust_keys=(TRUST,),
    next_interval_ms=15_000,
)
ENROLMENT = EnrolRequest(SECRET, NODE_PUBLIC.hex(), "1", 1, "boot", "http://h:1", HOST, ())
ENROLLED = EnrolAnswer(NODE_ID, "gpu-1", "Basel", DOMAIN, 0, (TRUST,))
PROBLEM = encode({"code": "node_revoked", "detail": "Revoked.", "hint": "Ask.", "title": "x"})

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def test_a_call_is_signed_and_its_signed_answer_is_believed() -> None:
    seen: list[SyncRequest] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        signed_by = read_signed_request(
            method="POST",
            url=str(request.url),
            headers=dict(request.headers),
            body=body,
            public_key_of=lambda _: NODE_PUBLIC,
            now_ms=BEGIN_MS,
        )
        seen.append(unpack(body, SyncRequest))
        return _signed(pack(ANSWER), signed_by.nonce)

    answer, signed_by = _sync(handler)

    assert (answer, signed_by) == (ANSWER, TRUST.key_id)
    assert seen == [REQUEST]


@pytest.mark.parametrize(
    ("answered", "why"),
    [
        (lambda n: web.Response(body=pack(ANSWER)), "not the registry"),
        (lambda n: _signed(pack(ANSWER), n, key=NODE_KEY), "not the registry"),
        (lambda n: _signed(pack(ANSWER), "9" * 32), "not the registry"),
        (lambda n: _signed(pack(ANSWER), n, sent=pack(ANSWER) + b" "), "not the registry"),
        (lambda n: _signed(pack(ANSWER), n, signed_status=201), "not the registry"),
        (lambda n: _signed(b"nonsense", n), "cannot be read"),
        (lambda n: _signed(pack({"now_ms": "x"}), n), "cannot be read"),
        (lambda n: web.Response(body=bytes(BODY_BYTES_MAX + 1)), "over"),
        (lambda n: web.Response(status=307, headers={"Location": "/elsewhere"}), "307"),
        (lambda n: web.Response(status=502, text="<html>"), "502"),
    ],
    ids=[
        "unsigned",
        "by a stranger",
        "of another request",
        "another body",
        "another status",
        "no zlib",
        "wrong type",
        "oversize",
        "redirect",
        "bad gateway",
    ],
)
def test_what_cannot_be_believed_is_silence(
    answered: Callable[[str], web.Response], why: str
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return answered(_nonce(request))

    with pytest.raises(RegistrySilent, match=why):
        _sync(handler)


def test_nobody_there_is_silence() -> None:
    client = RegistryClient(
        "http://127.0.0.1:9", lambda: NODE_KEY, new_nonce=lambda: "n" * 32, agent_version="1"
    )

    async def call() -> None:
        try:
            await client.sync(REQUEST, trusted=TRUSTED, now_ms=BEGIN_MS)
        finally:
            await client.close()

    with pytest.raises(RegistrySilent, match=r"127\.0\.0\.1:9"):
        asyncio.run(call())


def test_an_answer_cut_off_in_the_middle_is_silence() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "1000"})
        await answer.prepare(request)
        await answer.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return answer

    with pytest.raises(RegistrySilent):
        _sync(handler)


def test_a_busy_registry_says_when_to_come_back() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=503, headers={"Retry-After": "120"})

    with pytest.raises(RegistrySilent) as silent:
        _sync(handler)

    assert silent.value.retry_after_ms == 120_000


@pytest.mark.parametrize(("key", "registry_ms"), [(REGISTRY_KEY, BEGIN_MS), (NODE_KEY, None)])
def test_a_refusal_is_passed_on_and_its_clock_counts_only_when_signed(
    key: SigningKey, registry_ms: int | None
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return _signed(PROBLEM, _nonce(request), status=401, key=key)

    with pytest.raises(RefusedByRegistry) as refused:
        _sync(handler)

    assert refused.value.code == "node_revoked"
    assert (refused.value.message, refused.value.hint) == ("Revoked.", "Ask.")
    assert refused.value.registry_ms == registry_ms


def test_enrolment_is_believed_from_the_pinned_registry_alone() -> None:
    async def honest(request: web.Request) -> web.StreamResponse:
        asked = unpack(await request.read(), EnrolRequest)
        assert asked == ENROLMENT
        return _signed(encode(ENROLLED), _nonce(request))

    async def unsigned(request: web.Request) -> web.StreamResponse:
        return web.Response(body=encode(ENROLLED))

    async def stranger(request: web.Request) -> web.StreamResponse:
        answer = EnrolAnswer(NODE_ID, "gpu-1", "Basel", DOMAIN, 0, (other_trust(3),))
        return _signed(encode(answer), _nonce(request))

    assert _enrol(honest) == ENROLLED
    with pytest.raises(RegistrySilent, match="not the registry"):
        _enrol(unsigned)
    with pytest.raises(SignatureRefused, match="not the one that issued"):
        _enrol(stranger)


def test_a_malformed_secret_is_refused_without_a_call() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        raise NotImplementedError

    wrong = EnrolRequest("nk_x", NODE_PUBLIC.hex(), "1", 1, "boot", "http://h:1", HOST, ())

    with pytest.raises(Refusal, match="secret_malformed"):
        _enrol(handler, wrong)


def _nonce(request: web.Request) -> str:
    return request.headers["Signature-Input"].partition('nonce="')[2].partition('"')[0]


def _signed(
    body: bytes,
    nonce: str,
    *,
    status: int = 200,
    signed_status: int | None = None,
    sent: bytes | None = None,
    key: SigningKey = REGISTRY_KEY,
) -> web.Response:
    headers = signed_answer_headers(
        status=signed_status or status, body=body, key=key, now_ms=BEGIN_MS, nonce=nonce
    )
    return web.Response(status=status, body=body if sent is None else sent, headers=headers)


def _sync(handler: Handler) -> tuple[SyncAnswer, str]:
    async def call(client: RegistryClient) -> tuple[SyncAnswer, str]:
        return await client.sync(REQUEST, trusted=TRUSTED, now_ms=BEGIN_MS)

    return asyncio.run(_called(handler, call))


def _enrol(handler: Handler, request: EnrolRequest = ENROLMENT) -> EnrolAnswer:
    async def call(client: RegistryClient) -> EnrolAnswer:
        return await client.enrol(request, now_ms=BEGIN_MS)

    return asyncio.run(_called(handler, call))


async def _called(handler: Handler, call: Callable[[RegistryClient], Awaitable[T]]) -> T:
    app = web.Application()
    app.router.add_post("/node/v1/{call}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    numbers = count()
    client = RegistryClient(
        f"http://127.0.0.1:{runner.addresses[0][1]}/",
        lambda: NODE_KEY,
        new_nonce=lambda: f"{next(numbers):032d}",
        agent_version="1",
    )
    try:
        return await call(client)
    finally:
        await client.close()
        await runner.cleanup()

"""The OpenAI-compatible surface of the node: /v1 and, the same, /api/v1."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
import msgspec
from aiohttp import web

from agent.gateway.admission import Admission
from agent.gateway.answers import model_answer, models_answer
from agent.gateway.backends import BackendFailed, Backends, Discovered, Standing, unknown_model
from agent.gateway.calls import Call, Endpoint, read_call
from agent.gateway.key_ring import check_model_allowed, may_call, read_key
from agent.gateway.loop import CallBook
from agent.gateway.metered import ClosedCall, Figures, OpenCall, Outcome, Tally
from agent.gateway.price_list import ModelPrices, Tokens
from agent.gateway.relay import (
    Answer,
    CallerGone,
    first_answer,
    pass_stream,
    whole_body,
    write_whole,
)
from agent.gateway.terms import Terms
from agent.gateway.token_count import Count, StreamCount, count_whole
from agent.server.limits import STALLED_READER_S_MAX, check_headers, read_body
from agent.server.problems import REQUEST_ID
from protocol.clock import Clock
from protocol.key_set import ApiKeyFact
from protocol.refusal import Refusal
from protocol.wire import encode

log = logging.getLogger(__name__)

REFUSAL_BYTES_MAX = 64 * 1024
INLINE_BYTES_MAX = 64 * 1024
"""A body up to here is read within a millisecond or two."""

routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class Gateway:
    """What these handlers need.

    clock          UTC as the registry sees it: prices and keys go by it
    boot_clock     boottime: rates go by it
    balance_state  of a tenant, where the node knows it
    stalled_reader_s_max  after which a caller who takes nothing of an answer is cut off
    """

    terms: Terms
    backends: Backends
    admission: Admission
    book: CallBook
    tally: Tally
    session: aiohttp.ClientSession
    clock: Clock
    boot_clock: Clock
    node_name: str
    figures: Figures = field(default_factory=Figures)
    balance_state: Callable[[str], str | None] = lambda _tenant_id: None
    stalled_reader_s_max: float = STALLED_READER_S_MAX

    def key_of(self, request: web.Request) -> ApiKeyFact:
        """Return the API key that a request carries; refuse any that is not good now."""
        check_headers(request)
        authorization = request.headers.get("Authorization")
        return read_key(self.terms.keys, authorization, now_ms=self.clock())

    def offered(self, key: ApiKeyFact) -> list[Discovered]:
        """Return the models that this key may call here: ready, allowed and sold."""
        now_ms = self.clock()
        return [
            model
            for model in self.backends.models_for(key.tenant_id)
            if may_call(key, model.name)
            and self.terms.prices.find(model.name, at_ms=now_ms) is not None
        ]


GATEWAY: web.AppKey[Gateway] = web.AppKey("gateway")


@dataclass(slots=True)
class Course:
    """One call on its way: what it may cost, what it has come to, and how it ended."""

    room: Gateway
    call: Call
    opened: OpenCall
    prices: ModelPrices
    count: Count = field(default_factory=Count)
    outcome: Outcome = "refused"
    backend: str = ""
    closed: ClosedCall | None = None

    def close(self) -> ClosedCall:
        """Settle the call, once."""
        if self.closed is None:
            now_ms = self.room.clock()
            tokens = self.count.tokens()
            prices = self.room.terms.prices.find(self.call.model, at_ms=now_ms) or self.prices
            self.closed = ClosedCall(
                call_id=self.opened.call_id,
                stream=self.opened.stream,
                tokens=tokens,
                micros=self.room.tally.cost(self.opened.stream, tokens, prices),
                finished_at_ms=now_ms,
                exact=self.count.exact,
                outcome=self.outcome,
                backend=self.backend,
            )
            self.room.book.close(self.closed)
            self.room.figures.count(self.call.model, self.closed)
        return self.closed


@routes.get("/v1/models")
@routes.get("/api/v1/models")
async def list_models(request: web.Request) -> web.Response:
    """Return the models that the caller's key may call here."""
    room = request.app[GATEWAY]
    models = room.offered(room.key_of(request))
    return web.Response(body=encode(models_answer(models)), content_type="application/json")


@routes.get("/v1/models/{model:.+}")
@routes.get("/api/v1/models/{model:.+}")
async def show_model(request: web.Request) -> web.Response:
    """Return one model that the caller's key may call here."""
    room = request.app[GATEWAY]
    wanted = request.match_info["model"]
    for model in room.offered(room.key_of(request)):
        if model.name == wanted:
            return web.Response(body=encode(model_answer(model)), content_type="application/json")
    raise unknown_model()


@routes.post("/v1/chat/completions")
@routes.post("/api/v1/chat/completions")
async def complete_chat(request: web.Request) -> web.StreamResponse:
    """Carry a chat to a backend and its answer back."""
    return await _carried(request, "chat/completions")


@routes.post("/v1/completions")
@routes.post("/api/v1/completions")
async def complete_text(request: web.Request) -> web.StreamResponse:
    """Carry a text to a backend and its continuation back."""
    return await _carried(request, "completions")


@routes.post("/v1/embeddings")
@routes.post("/api/v1/embeddings")
async def embed(request: web.Request) -> web.StreamResponse:
    """Carry texts to a backend and their embeddings back."""
    return await _carried(request, "embeddings")


async def _carried(request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
    """Admit a call, set its worst case aside, carry it, settle it."""
    room = request.app[GATEWAY]
    key = room.key_of(request)
    with room.admission.admitted(key, now_ms=room.boot_clock()):
        call = await _read(endpoint, await read_body(request))
        check_model_allowed(key, call.model)
        choices = room.backends.choices(
            call.model, tenant_id=key.tenant_id, now_ms=room.boot_clock()
        )
        course = _course(room, key, call, call_id=request[REQUEST_ID])
        try:
            await room.book.open(course.opened, course.count)
            return await _answered(request, course, choices)
        finally:
            course.close()


async def _read(endpoint: Endpoint, body: bytes) -> Call:
    """Return the call in a body; a large one is read beside the event loop, which serves others."""
    if len(body) <= INLINE_BYTES_MAX:
        return read_call(endpoint, body)
    return await asyncio.to_thread(read_call, endpoint, body)


def _course(room: Gateway, key: ApiKeyFact, call: Call, *, call_id: str) -> Course:
    now_ms = room.clock()
    prices = room.terms.prices.get(call.model, at_ms=now_ms)
    opened = OpenCall(
        call_id=call_id,
        key_id=key.key_id,
        tenant_id=key.tenant_id,
        project_id=key.project_id,
        model=call.model,
        endpoint=call.endpoint,
        worst=prices.worst(Tokens(call.tokens_in_max, call.tokens_out_max, 1)),
        started_at_ms=now_ms,
    )
    return Course(room=room, call=call, opened=opened, prices=prices)


async def _answered(
    request: web.Request, course: Course, choices: list[Standing]
) -> web.StreamResponse:
    """Return the answer of a backend to a call that is open."""
    room = course.room
    course.outcome = "backend_failed"
    try:
        answer = await first_answer(
            room.session,
            choices,
            course.call,
            request_id=course.opened.call_id,
            backends=room.backends,
            now_ms=room.boot_clock(),
        )
    except BackendFailed as failure:
        raise _no_answer(course, failure) from failure
    course.backend = answer.standing.backend.name
    try:
        if answer.status == 200 and answer.is_stream and course.call.stream:
            return await _streamed(request, course, answer)
        return await _whole(request, course, answer)
    finally:
        answer.end()


async def _streamed(request: web.Request, course: Course, answer: Answer) -> web.StreamResponse:
    """Carry a stream; whoever leaves early pays for what was produced until then."""
    counted = StreamCount(
        course.count,
        wants_usage=course.call.wants_usage,
        tokens_in_estimate=course.call.tokens_in_estimate,
    )
    response = web.StreamResponse(headers=_headers(course))
    response.content_type = "text/event-stream"
    course.outcome = "client_gone"
    try:
        await response.prepare(request)
        await pass_stream(
            request,
            response,
            answer,
            counted,
            stalled_s_max=course.room.stalled_reader_s_max,
        )
    except BackendFailed as failure:
        course.outcome = "backend_failed"
        _log_failure(course, failure)
    except (CallerGone, ConnectionError):
        log.info("caller gone", extra={"request_id": course.opened.call_id})
    else:
        course.outcome = "answered"
    return response


async def _whole(request: web.Request, course: Course, answer: Answer) -> web.StreamResponse:
    """Carry an answer in one piece, or what the engine says about a call it cannot take."""
    try:
        if answer.status != 200:
            return _passed_refusal(course, answer, await _short(answer))
        if answer.is_stream:
            raise BackendFailed(f"{course.backend} streamed without being asked")
        body = await whole_body(answer)
        if not count_whole(body, course.count, tokens_in_estimate=course.call.tokens_in_estimate):
            raise BackendFailed(f"{course.backend} answered no JSON")
    except BackendFailed as failure:
        raise _no_answer(course, failure) from failure
    course.outcome = "answered"
    closed = course.close()
    headers = _headers(course)
    headers["x-outstation-cost-micros"] = str(closed.micros)
    return await write_whole(request, body, headers, stalled_s_max=course.room.stalled_reader_s_max)


async def _short(answer: Answer) -> bytes:
    return await whole_body(answer, bytes_max=REFUSAL_BYTES_MAX)


def _passed_refusal(course: Course, answer: Answer, body: bytes) -> web.Response:
    """Return what the engine says against a call, if it says so in OpenAI's shape."""
    course.outcome = "refused"
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        said = None
    if not isinstance(said, dict) or not ("error" in said or said.get("object") == "error"):
        raise Refusal(
            code="call_refused",
            status=answer.status,
            message="The engine behind this model does not take this call.",
            hint="Check the fields of the call against what the model offers.",
        )
    return web.Response(
        status=answer.status, body=body, content_type="application/json", headers=_headers(course)
    )


def _headers(course: Course) -> dict[str, str]:
    headers = {"x-outstation-node": course.room.node_name}
    state = course.room.balance_state(course.opened.tenant_id)
    if state is not None:
        headers["x-balance-state"] = state
    return headers


def _no_answer(course: Course, failure: BackendFailed) -> Refusal:
    """Log why no backend answered; return the refusal that the caller gets."""
    _log_failure(course, failure)
    return Refusal(
        code="backend_failed",
        status=503,
        message="No backend of this model answered on this node.",
        hint="Try again in a moment, or use another node.",
        retry_after_s=2,
    )


def _log_failure(course: Course, failure: BackendFailed) -> None:
    log.warning("backend failed", extra={"request_id": course.opened.call_id, "why": str(failure)})

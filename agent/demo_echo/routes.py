"""demo-echo as a server on its own: models, chat, completions, embeddings, and what it handed out.

`GET /stats` tells the exact totals, so that whoever meters its answers can compare.
"""

import asyncio
from dataclasses import asdict, dataclass
from typing import Annotated

import msgspec
from aiohttp import web

from agent.demo_echo.echo import (
    DIMENSIONS,
    DIMENSIONS_MAX,
    MODEL,
    Echo,
    echo,
    embedding,
    packed,
    tokens_of,
)
from agent.server.app import make_app
from agent.server.limits import read_body
from protocol.clock import SECOND_MS, Clock
from protocol.ids import NewId
from protocol.wire import decode, encode

CONTEXT_TOKENS = 32_768
OUTPUTS_MAX = 16
MADE_AT_S = 1_761_955_200
"""When the model was made, as /v1/models tells it: 1 November 2025."""

routes = web.RouteTableDef()


@dataclass(slots=True)
class Totals:
    """What was handed out since the start."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    aborted: int = 0


@dataclass(frozen=True, slots=True)
class Demo:
    """What these handlers need.

    delay_ms  before each token
    """

    totals: Totals
    delay_ms: int
    new_id: NewId
    clock: Clock


@dataclass(frozen=True, slots=True)
class Frame:
    """What every object of one answer says of it: the chunks of a stream are one answer."""

    completion_id: str
    created_at_ms: int
    chat: bool

    def of(self, kind: str, choices: list[dict[str, object]]) -> dict[str, object]:
        """Return an object of this answer.  kind: of a chat; a text completion has one kind"""
        return {
            "id": self.completion_id,
            "object": kind if self.chat else "text_completion",
            "created": self.created_at_ms // SECOND_MS,
            "model": MODEL,
            "choices": choices,
        }


DEMO: web.AppKey[Demo] = web.AppKey("demo")

Limit = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Outputs = Annotated[int, msgspec.Meta(ge=1, le=OUTPUTS_MAX)]


class _Part(msgspec.Struct):
    type: str
    text: str = ""


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None

    def text(self) -> str:
        if isinstance(self.content, list):
            return " ".join(part.text for part in self.content)
        return self.content or ""


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Wish(msgspec.Struct):
    """A chat or a text completion; fields that change nothing here are not read."""

    model: str = MODEL
    messages: list[_Message] | None = None
    prompt: str | list[str] | None = None
    max_tokens: Limit | None = None
    max_completion_tokens: Limit | None = None
    n: Outputs | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None

    def prompts(self) -> list[str]:
        """Return the texts that are echoed, one answer each."""
        if self.messages is not None:
            heard = [message.text() for message in self.messages if message.role == "user"]
            return heard[-1:] or [""]
        return [self.prompt] if isinstance(self.prompt, str) else (self.prompt or [""])

    def tokens_in(self) -> int:
        if self.messages is not None:
            return sum(len(tokens_of(message.text())) for message in self.messages)
        return sum(len(tokens_of(prompt)) for prompt in self.prompts())

    def echoes(self) -> list[Echo]:
        limit = self.max_completion_tokens or self.max_tokens
        outputs = range(self.n or 1)
        return [echo(text, tokens_max=limit) for text in self.prompts() for _ in outputs]

    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


class _EmbeddingWish(msgspec.Struct):
    input: str | list[str]
    model: str = MODEL
    encoding_format: str | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=DIMENSIONS_MAX)] | None = None


def demo_app(*, delay_ms: int, new_id: NewId, clock: Clock) -> web.Application:
    """Return the server's application."""
    app = make_app([routes], new_id=new_id)
    app[DEMO] = Demo(Totals(), delay_ms, new_id, clock)
    return app


@routes.get("/v1/models")
async def list_models(_request: web.Request) -> web.Response:
    """Return the one model there is."""
    model = {
        "id": MODEL,
        "object": "model",
        "created": MADE_AT_S,
        "owned_by": "outstation demo, no real model",
        "max_model_len": CONTEXT_TOKENS,
    }
    return _json({"object": "list", "data": [model]})


@routes.get("/stats")
async def show_totals(request: web.Request) -> web.Response:
    """Return what was handed out since the start."""
    return _json(asdict(request.app[DEMO].totals))


@routes.post("/v1/chat/completions")
async def complete_chat(request: web.Request) -> web.StreamResponse:
    """Echo the last thing a user said."""
    return await _completed(request, chat=True)


@routes.post("/v1/completions")
async def complete_text(request: web.Request) -> web.StreamResponse:
    """Echo each prompt."""
    return await _completed(request, chat=False)


@routes.post("/v1/embeddings")
async def embed(request: web.Request) -> web.Response:
    """Return a vector per text."""
    wish = decode(await read_body(request), _EmbeddingWish)
    texts = [wish.input] if isinstance(wish.input, str) else wish.input
    tokens_in = sum(len(tokens_of(text)) for text in texts)
    totals = request.app[DEMO].totals
    totals.requests += 1
    totals.prompt_tokens += tokens_in
    vectors = [embedding(text, wish.dimensions or DIMENSIONS) for text in texts]
    as_text = wish.encoding_format == "base64"
    listed = [
        {"object": "embedding", "index": at, "embedding": packed(vector) if as_text else vector}
        for at, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens_in, "total_tokens": tokens_in}
    return _json({"object": "list", "data": listed, "model": MODEL, "usage": usage})


async def _completed(request: web.Request, *, chat: bool) -> web.StreamResponse:
    demo = request.app[DEMO]
    wish = decode(await read_body(request), _Wish)
    demo.totals.requests += 1
    demo.totals.prompt_tokens += wish.tokens_in()
    prefix = "chatcmpl" if chat else "cmpl"
    frame = Frame(f"{prefix}-{demo.new_id('request')}", demo.clock(), chat)
    if wish.stream:
        return await _streamed(request, wish, frame)
    echoes = wish.echoes()
    tokens_out = sum(len(answer.tokens) for answer in echoes)
    await _paused(demo, tokens_out)
    demo.totals.completion_tokens += tokens_out
    choices = [
        _choice(at, "".join(answer.tokens), answer.finish_reason, chat=chat)
        for at, answer in enumerate(echoes)
    ]
    answer = frame.of("chat.completion", choices)
    return _json(answer | {"usage": _usage(wish.tokens_in(), tokens_out)})


async def _streamed(request: web.Request, wish: _Wish, frame: Frame) -> web.StreamResponse:
    """Send one event per token; what was sent counts, also if the reader then leaves."""
    demo = request.app[DEMO]
    response = web.StreamResponse()
    response.content_type = "text/event-stream"
    await response.prepare(request)
    sent = 0
    try:
        for at, answer in enumerate(wish.echoes()):
            for token in answer.tokens:
                await _paused(demo, 1)
                delta = _delta(at, token, chat=frame.chat)
                await response.write(_event(frame.of(_CHUNK, [delta])))
                sent += 1
                demo.totals.completion_tokens += 1
            last = _delta(at, None, finish_reason=answer.finish_reason, chat=frame.chat)
            await response.write(_event(frame.of(_CHUNK, [last])))
        if wish.wants_usage():
            usage = {"usage": _usage(wish.tokens_in(), sent)}
            await response.write(_event(frame.of(_CHUNK, []) | usage))
        await response.write(b"data: [DONE]\n\n")
    except ConnectionError:
        demo.totals.aborted += 1
    return response


_CHUNK = "chat.completion.chunk"


async def _paused(demo: Demo, tokens: int) -> None:
    if demo.delay_ms:
        await asyncio.sleep(tokens * demo.delay_ms / SECOND_MS)


def _choice(at: int, text: str, finish_reason: str, *, chat: bool) -> dict[str, object]:
    said = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    return {"index": at, **said, "logprobs": None, "finish_reason": finish_reason}


def _delta(
    at: int, token: str | None, *, finish_reason: str | None = None, chat: bool
) -> dict[str, object]:
    if chat:
        said: dict[str, object] = {"delta": {} if token is None else {"content": token}}
    else:
        said = {"text": token or ""}
    return {"index": at, **said, "logprobs": None, "finish_reason": finish_reason}


def _usage(tokens_in: int, tokens_out: int) -> dict[str, int]:
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
    }


def _event(chunk: dict[str, object]) -> bytes:
    return b"data: " + encode(chunk) + b"\n\n"


def _json(value: object) -> web.Response:
    return web.Response(body=encode(value), content_type="application/json")

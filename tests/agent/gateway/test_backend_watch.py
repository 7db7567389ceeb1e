"""Backends are asked for their models, and believed only as far as they make sense."""

import asyncio
from collections.abc import Sequence

import pytest
from aiohttp import web

from agent.gateway.backends import Backend, BackendFailed, Backends, Discovered
from agent.gateway.client import ANSWER_BYTES_MAX, ModelAsker
from agent.gateway.loop import BackendWatch
from agent.server.app import open_socket, serving


class Engines:
    """Engines in memory: a backend's models by its name; one that is missing is silent."""

    def __init__(self) -> None:
        self.models: dict[str, list[Discovered]] = {}

    async def list_models(self, backend: Backend) -> Sequence[Discovered]:
        if backend.name not in self.models:
            raise BackendFailed("no answer")
        return self.models[backend.name]


def test_what_is_offered_follows_the_backends_and_changes_are_told_once() -> None:
    engines, backends, told = Engines(), Backends(), []
    listed = [Backend("one", "http://a")]

    async def found() -> Sequence[Backend]:
        return listed

    watch = BackendWatch(
        backends, engines.list_models, find_backends=found, on_change=lambda: told.append(1)
    )

    assert asyncio.run(watch()) == "0 of 1 backends ready"
    assert told == []
    engines.models["one"] = [Discovered("m", 100)]
    assert asyncio.run(watch()) == "1 of 1 backends ready"
    asyncio.run(watch())
    assert told == [1]
    assert [(model.name, model.ready) for model in backends.served_models()] == [("m", True)]
    del engines.models["one"]
    asyncio.run(watch())
    assert told == [1, 1]
    assert [(model.name, model.ready) for model in backends.served_models()] == [("m", False)]
    listed.clear()
    assert asyncio.run(watch()) == "0 of 0 backends ready"
    assert backends.served_models() == ()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"status": 500}, id="broken"),
        pytest.param({"status": 302, "headers": {"Location": "/elsewhere"}}, id="redirects"),
        pytest.param({"text": "<html>"}, id="no JSON"),
        pytest.param({"text": '{"data":[{"id":7}]}'}, id="an id that is no text"),
        pytest.param({"text": '{"data":{}}'}, id="no list"),
        pytest.param({"body": b" " * (ANSWER_BYTES_MAX + 1)}, id="too much"),
    ],
)
def test_an_engine_that_lists_nothing_readable_is_not_ready(answer: dict[str, object]) -> None:
    with pytest.raises(BackendFailed):
        asyncio.run(asked(answer))


def test_models_and_their_context_are_read_and_senseless_context_is_not() -> None:
    text = '{"data":[{"id":"m","max_model_len":4096},{"id":"n","max_model_len":-1},{"id":"o"}]}'

    models = asyncio.run(asked({"text": text}))

    assert models == [Discovered("m", 4096), Discovered("n"), Discovered("o")]


def test_an_engine_that_is_not_there_is_not_ready() -> None:
    async def ask() -> None:
        asker = ModelAsker()
        with open_socket("127.0.0.1", 0) as closed:
            port = closed.getsockname()[1]
        try:
            await asker.list_models(Backend("one", f"http://127.0.0.1:{port}"))
        finally:
            await asker.close()

    with pytest.raises(BackendFailed, match="no answer"):
        asyncio.run(ask())


async def asked(answer: dict[str, object]) -> list[Discovered]:
    """Return what is made of an engine's answer to GET /v1/models."""

    async def respond(_request: web.Request) -> web.Response:
        return web.Response(**answer)  # type: ignore[arg-type]

    app = web.Application()
    app.router.add_get("/v1/models", respond)
    asker = ModelAsker()
    try:
        async with serving(app, open_socket("127.0.0.1", 0)) as url:
            return await asker.list_models(Backend("one", url))
    finally:
        await asker.close()

"""demo-echo as a server: what it hands out is what it says it handed out."""

import asyncio
import itertools
import json

import aiohttp

from agent.demo_echo.routes import demo_app
from agent.server.app import open_socket, serving


def test_the_demo_tells_what_it_handed_out() -> None:
    async def scenario() -> None:
        app = demo_app(delay_ms=0, new_id=lambda _kind: "r_test", clock=lambda: 0)
        call = {"messages": [{"role": "user", "content": "one two"}], "n": 2}
        async with (
            serving(app, open_socket("127.0.0.1", 0)) as url,
            aiohttp.ClientSession() as http,
        ):
            async with http.post(f"{url}/v1/chat/completions", json=call) as answer:
                chat = await answer.json()
            async with http.get(f"{url}/stats") as told:
                totals = await told.json()
            async with http.post(f"{url}/v1/chat/completions", json={"n": 99}) as wrong:
                assert wrong.status == 400

        texts = [choice["message"]["content"] for choice in chat["choices"]]
        assert texts == ["demo-echo heard: one two"] * 2
        assert totals["prompt_tokens"] == chat["usage"]["prompt_tokens"] == 2
        assert totals["completion_tokens"] == chat["usage"]["completion_tokens"] == 2 * 7
        assert totals["requests"] == 1

    asyncio.run(scenario())


def test_each_answer_has_an_id_of_its_own_and_the_time_and_its_chunks_share_them() -> None:
    async def scenario() -> None:
        numbers = itertools.count(1)
        app = demo_app(
            delay_ms=0,
            new_id=lambda kind: f"{kind}_{next(numbers)}",
            clock=lambda: 1_795_173_360_500,
        )
        call = {"messages": [{"role": "user", "content": "one two"}]}
        async with (
            serving(app, open_socket("127.0.0.1", 0)) as url,
            aiohttp.ClientSession() as http,
        ):
            whole = []
            for _ in range(2):
                async with http.post(f"{url}/v1/chat/completions", json=call) as answer:
                    whole.append(await answer.json())
            async with http.post(
                f"{url}/v1/chat/completions", json={**call, "stream": True}
            ) as answer:
                lines = (await answer.text()).split("\n\n")

        chunks = [
            json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")
        ]
        ids = [one["id"] for one in whole] + list({chunk["id"] for chunk in chunks})
        assert len(set(ids)) == 3
        assert all(one.startswith("chatcmpl-") for one in ids)
        assert {one["created"] for one in [*whole, *chunks]} == {1_795_173_360}

    asyncio.run(scenario())

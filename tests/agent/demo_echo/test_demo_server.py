"""demo-echo as a server: what it hands out is what it says it handed out."""

import asyncio

import aiohttp

from agent.demo_echo.routes import serve_demo


def test_the_demo_serves_until_it_is_told_to_stop_and_tells_its_totals() -> None:
    async def scenario() -> dict[str, int]:
        started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(
            serve_demo(
                host="127.0.0.1",
                port=0,
                delay_ms=0,
                new_id=lambda _kind: "r_test",
                on_start=started.set_result,
            )
        )
        url = await started
        call = {"messages": [{"role": "user", "content": "one two"}], "n": 2}
        async with aiohttp.ClientSession() as http:
            async with http.post(f"{url}/v1/chat/completions", json=call) as answer:
                chat = await answer.json()
            async with http.get(f"{url}/stats") as told:
                totals: dict[str, int] = await told.json()
            async with http.post(f"{url}/v1/chat/completions", json={"n": 99}) as wrong:
                assert wrong.status == 400
        serving.cancel()
        await asyncio.wait([serving])

        texts = [choice["message"]["content"] for choice in chat["choices"]]
        assert texts == ["demo-echo heard: one two"] * 2
        assert totals["prompt_tokens"] == chat["usage"]["prompt_tokens"] == 2
        assert totals["completion_tokens"] == chat["usage"]["completion_tokens"] == 2 * 7
        return totals

    assert asyncio.run(scenario())["requests"] == 1

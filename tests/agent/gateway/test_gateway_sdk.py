"""The official SDK, sync and async, against the gateway in front of demo-echo."""

import asyncio
from pathlib import Path

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from agent.gateway.backends import Backend
from tests.agent.gateway.rig import SECRET, Rig, running_demo, running_gateway

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello, node."}]


def test_a_chat_is_answered_counted_and_settled(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            running_demo() as (demo, totals),
            running_gateway(tmp_path, [Backend("demo", demo)]) as rig,
            client(rig) as sdk,
        ):
            answer = await sdk.chat.completions.with_raw_response.create(
                model="demo-echo", messages=HELLO
            )
            rows = await rig.closed_rows()
            lease = await rig.lease()

            chat = answer.parse()
            assert chat.choices[0].message.content == "demo-echo heard: Hello, node."
            assert chat.usage is not None
            (row,) = rows
            assert row["tokens_in"] == chat.usage.prompt_tokens == totals.prompt_tokens
            assert row["tokens_out"] == chat.usage.completion_tokens == totals.completion_tokens
            assert row["exactness"] == "exact"
            assert row["outcome"] == "answered"
            assert row["recorded"] == 0
            assert answer.headers["x-request-id"] == row["call_id"]
            assert answer.headers["x-outstation-node"] == "node-one"
            assert answer.headers["x-outstation-cost-micros"] == str(row["micros"])
            assert lease["spent"] == row["micros"]
            assert lease["reserved"] == 0

    asyncio.run(scenario())


def test_the_sync_client_works_too_and_finds_the_models(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            running_demo() as (demo, _),
            running_gateway(tmp_path, [Backend("demo", demo)]) as rig,
        ):
            await asyncio.to_thread(_use_sync_client, f"{rig.url}/api/v1")

    asyncio.run(scenario())


def _use_sync_client(base_url: str) -> None:
    with openai.OpenAI(base_url=base_url, api_key=SECRET, max_retries=0) as sdk:
        assert [model.id for model in sdk.models.list()] == ["demo-echo"]
        assert sdk.models.retrieve("demo-echo").id == "demo-echo"
        with pytest.raises(openai.NotFoundError):
            sdk.models.retrieve("no/such-model")
        chat = sdk.chat.completions.create(model="demo-echo", messages=HELLO, max_tokens=3)
        assert chat.choices[0].finish_reason == "length"
        text = sdk.completions.create(model="demo-echo", prompt=["one", "two"], max_tokens=9)
        assert [choice.text for choice in text.choices] == [
            "demo-echo heard: one",
            "demo-echo heard: two",
        ]
        vectors = sdk.embeddings.create(model="demo-echo", input=["one", "two"])
        assert len(vectors.data) == 2
        assert len(vectors.data[0].embedding) == 64
        large = sdk.embeddings.create(
            model="demo-echo", input=["x"] * 8, dimensions=4_096, encoding_format="float"
        )
        assert [len(vector.embedding) for vector in large.data] == [4_096] * 8
        stream = sdk.chat.completions.create(model="demo-echo", messages=HELLO, stream=True)
        said = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        assert said == "demo-echo heard: Hello, node."


@pytest.mark.parametrize("asked", [True, False, None])
def test_usage_in_a_stream_is_for_those_who_asked_and_is_metered_for_all(
    tmp_path: Path, asked: bool | None
) -> None:
    async def scenario() -> None:
        async with (
            running_demo() as (demo, totals),
            running_gateway(tmp_path, [Backend("demo", demo)]) as rig,
            client(rig) as sdk,
        ):
            options = openai.NOT_GIVEN if asked is None else {"include_usage": asked}
            stream = await sdk.chat.completions.create(
                model="demo-echo",
                messages=HELLO,
                stream=True,
                stream_options=options,  # type: ignore[arg-type]
            )
            chunks = [chunk async for chunk in stream]
            (row,) = await rig.closed_rows()

            usages = [chunk.usage for chunk in chunks if chunk.usage is not None]
            assert len(usages) == (1 if asked else 0)
            assert all(chunk.choices for chunk in chunks if chunk.usage is None)
            assert row["exactness"] == "exact"
            assert row["tokens_in"] == totals.prompt_tokens
            assert row["tokens_out"] == totals.completion_tokens
            assert row["outcome"] == "answered"

    asyncio.run(scenario())


def test_refusals_are_the_errors_that_the_sdk_knows(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            running_demo() as (demo, totals),
            running_gateway(tmp_path, [Backend("demo", demo)], lease_micros=1) as rig,
            client(rig) as sdk,
            client(rig, "ok_" + "z" * 52) as stranger,
        ):
            with pytest.raises(openai.AuthenticationError) as unknown:
                await stranger.models.list()
            with pytest.raises(openai.NotFoundError) as absent:
                await sdk.chat.completions.create(model="gpt-9", messages=HELLO)
            with pytest.raises(openai.BadRequestError) as wrong:
                await sdk.chat.completions.create(
                    model="demo-echo", messages=HELLO, extra_body={"api_base": "http://evil"}
                )
            with pytest.raises(openai.APIStatusError) as poor:
                await sdk.chat.completions.create(model="demo-echo", messages=HELLO)

            assert unknown.value.code == "invalid_api_key"
            assert absent.value.code == "model_not_found"
            assert wrong.value.param == "api_base"
            assert poor.value.status_code == 402
            assert poor.value.body["limit_source"] == "site_lease"
            assert poor.value.body["hint"]
            assert totals.requests == 0
            assert await rig.rows() == []

    asyncio.run(scenario())


def client(rig: Rig, secret: str = SECRET) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=rig.base_url, api_key=secret, max_retries=0)

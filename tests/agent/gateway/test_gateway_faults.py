"""What the gateway does when clients leave, backends break and money is short."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from agent.gateway.backends import Backend
from agent.gateway.operations import close_left_open
from agent.gateway.price_list import PriceList
from tests.agent.gateway.rig import (
    OTHER_SECRET,
    SECRET,
    Rig,
    key_fact,
    key_set,
    prices_of,
    running_backend,
    running_demo,
    running_gateway,
    wall_ms,
)

WORDS = " ".join(["word"] * 40)
CHAT = {"model": "demo-echo", "messages": [{"role": "user", "content": WORDS}], "max_tokens": 100}
BEARER = {"Authorization": f"Bearer {SECRET}"}
CONTENT = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'


def test_totals_equal_the_backends_own_after_calls_of_every_kind(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            running_demo(delay_ms=2) as (demo, totals),
            running_gateway(tmp_path, [Backend("demo", demo)]) as rig,
            aiohttp.ClientSession(headers=BEARER) as http,
        ):
            whole = [posted(http, rig, CHAT) for _ in range(10)]
            streams = [posted(http, rig, CHAT | {"stream": True}) for _ in range(10)]
            leavers = [left_after(http, rig, pieces) for pieces in (1, 3, 5, 8)]
            await asyncio.gather(*whole, *streams, *leavers)
            await until(lambda: totals.aborted == 4)
            rows = await rig.closed_rows()
            lease = await rig.lease()

            assert len(rows) == totals.requests == 24
            left = [row for row in rows if row["outcome"] == "client_gone"]
            assert len(left) == totals.aborted == 4
            assert all(row["exactness"] == "estimated" for row in left)
            assert all(0 < int(str(row["tokens_out"])) < 45 for row in left)
            exact = [row for row in rows if row["exactness"] == "exact"]
            assert sum(row["tokens_in"] for row in exact) == 20 * 40  # type: ignore[misc]
            produced = sum(row["tokens_out"] for row in rows)  # type: ignore[misc]
            # A token may be on its way when its reader leaves: the tenant does not pay for it.
            assert 0 <= totals.completion_tokens - produced <= 2 * len(left)
            assert lease["reserved"] == 0
            assert lease["spent"] == sum(row["micros"] for row in rows)  # type: ignore[misc]

    asyncio.run(scenario())


def test_a_caller_who_leaves_a_whole_answer_pays_what_the_engine_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            running_demo(delay_ms=5) as (demo, totals),
            running_gateway(tmp_path, [Backend("demo", demo)]) as rig,
            aiohttp.ClientSession(headers=BEARER) as http,
        ):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await posted(http, rig, CHAT)
            (row,) = await rig.closed_rows()

            assert row["exactness"] == "exact"
            assert row["tokens_out"] == totals.completion_tokens == 45

    asyncio.run(scenario())


def test_parallel_calls_on_money_for_one_admit_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            running_demo(delay_ms=1) as (demo, totals),
            running_gateway(
                tmp_path,
                [Backend("demo", demo)],
                prices=prices_of("demo-echo", tok_in=0, tok_out=1_000),
                lease_micros=199,
            ) as rig,
            aiohttp.ClientSession(headers=BEARER, connector=aiohttp.TCPConnector(limit=0)) as http,
        ):
            statuses = await asyncio.gather(*(posted(http, rig, CHAT) for _ in range(100)))
            rows = await rig.closed_rows()
            lease = await rig.lease()

            assert sorted(statuses) == [200] + [402] * 99
            assert totals.requests == len(rows) == 1
            assert lease["spent"] == rows[0]["micros"] == totals.completion_tokens

    asyncio.run(scenario())


def test_a_backend_that_dies_in_a_stream_ends_it_with_an_error_event(tmp_path: Path) -> None:
    async def dies(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(CONTENT * 3)
        assert request.transport is not None
        await asyncio.sleep(0.05)
        request.transport.abort()
        return response

    async def scenario() -> None:
        async with (
            running_backend(dies) as url,
            running_gateway(tmp_path, [Backend("mortal", url)]) as rig,
            aiohttp.ClientSession(headers=BEARER) as http,
        ):
            async with http.post(
                f"{rig.base_url}/chat/completions", json=CHAT | {"stream": True}
            ) as answer:
                body = await answer.read()
            (row,) = await rig.closed_rows()

            assert body.startswith(CONTENT * 3)
            event = json.loads(body.rpartition(b"data: ")[2])
            assert event["error"]["code"] == "backend_failed"
            assert row["outcome"] == "backend_failed"
            assert row["exactness"] == "estimated"
            assert row["tokens_out"] == 3
            assert row["requests"] == 1

    asyncio.run(scenario())


def test_a_backend_that_fails_before_its_first_byte_is_replaced_by_another(
    tmp_path: Path,
) -> None:
    async def refuses(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=503, text="full")

    async def scenario() -> None:
        async with (
            running_backend(refuses) as bad,
            running_demo() as (demo, totals),
            running_gateway(tmp_path, [Backend("bad", bad), Backend("demo", demo)]) as rig,
            aiohttp.ClientSession(headers=BEARER) as http,
        ):
            statuses = [await posted(http, rig, CHAT) for _ in range(4)]
            rows = await rig.closed_rows()

            assert statuses == [200] * 4
            assert totals.requests == 4
            assert {row["backend"] for row in rows} == {"demo"}
            assert [standing.in_flight for standing in rig.room.backends.standings()] == [0, 0]

    asyncio.run(scenario())


def _hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _answers(**fields: object) -> web.Response:
    return web.Response(**fields)  # type: ignore[arg-type]


NASTY = {
    "hangs up": _hangs_up,
    "says it is broken": lambda _: _answers(status=500, text="Traceback: secret"),
    "redirects": lambda _: _answers(status=307, headers={"Location": "http://127.0.0.1:1/"}),
    "speaks no JSON": lambda _: _answers(text="<html>", content_type="application/json"),
    "has huge headers": lambda _: _answers(headers={"X-Big": "x" * 60_000}, text="{}"),
    "wants a key": lambda _: _answers(status=401, text="{}"),
    "refuses in no known shape": lambda _: _answers(status=400, text="no"),
}


@pytest.mark.parametrize("nasty", NASTY)
def test_what_a_broken_backend_says_is_kept_from_the_caller_and_costs_nothing(
    tmp_path: Path, nasty: str
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return NASTY[nasty](request)  # type: ignore[no-any-return, operator]

    async def scenario() -> None:
        async with (
            running_backend(answer) as url,
            running_gateway(tmp_path, [Backend("nasty", url)]) as rig,
            aiohttp.ClientSession(headers=BEARER) as http,
        ):
            async with http.post(f"{rig.base_url}/chat/completions", json=CHAT) as got:
                said = await got.json()
            (row,) = await rig.closed_rows()
            lease = await rig.lease()

            assert got.status == (400 if nasty == "refuses in no known shape" else 503)
            assert "secret" not in str(said)
            assert said["error"]["code"] in ("backend_failed", "call_refused")
            assert row["requests"] == row["tokens_out"] == row["micros"] == 0
            assert row["recorded"] == 1
            assert lease["spent"] == lease["reserved"] == 0

    asyncio.run(scenario())


def test_an_engine_without_usage_is_counted_by_its_pieces_and_marked_estimated(
    tmp_path: Path,
) -> None:
    async def tells_nothing(request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        assert request.headers.get("Authorization") is None
        assert request.headers.get("X-Secret") is None
        assert asked["stream_options"] == {"include_usage": True}
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(CONTENT * 7 + b"data: [DONE]\n\n")
        return response

    async def scenario() -> None:
        async with (
            running_backend(tells_nothing) as url,
            running_gateway(tmp_path, [Backend("silent", url)]) as rig,
            aiohttp.ClientSession(headers=BEARER | {"X-Secret": "1"}) as http,
        ):
            status = await posted(http, rig, CHAT | {"stream": True})
            (row,) = await rig.closed_rows()

            assert status == 200
            assert row["exactness"] == "estimated"
            assert row["tokens_out"] == 7
            assert int(str(row["tokens_in"])) > 0

    asyncio.run(scenario())


def test_a_call_cut_off_by_a_crash_is_settled_at_its_last_checkpoint(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            running_demo(delay_ms=50) as (demo, _),
            running_gateway(tmp_path, [Backend("demo", demo)]) as rig,
            aiohttp.ClientSession(headers=BEARER) as http,
        ):
            call = http.post(f"{rig.base_url}/chat/completions", json=CHAT | {"stream": True})
            async with call as answer:
                await answer.content.readuntil(b"\n\n")
                await answer.content.readuntil(b"\n\n")
                await rig.room.book.write()
                (before,) = await rig.rows()
                # What a start after a crash does, with the row as the crash left it.
                prices = PriceList(prices_of("demo-echo"))
                closed = await rig.store.run(close_left_open, prices, now_ms=wall_ms())
            await until(lambda: rig.room.admission.under_way == 0)
            (row,) = await rig.rows()
            lease = await rig.lease()

            assert closed == 1
            assert before["state"] == "open"
            assert int(str(before["tokens_out"])) >= 2
            assert row["tokens_out"] == before["tokens_out"]
            assert row["outcome"] == "cut_off"
            assert row["exactness"] == "estimated"
            assert lease["reserved"] == 0
            assert lease["spent"] == row["micros"]

    asyncio.run(scenario())


def test_limits_of_a_key_hold_and_say_when_to_come_back(tmp_path: Path) -> None:
    keys = key_set(
        key_fact(requests_per_minute=5), key_fact(OTHER_SECRET, concurrency=1, tenant_id="t_one")
    )

    async def scenario() -> None:
        async with (
            running_demo(delay_ms=5) as (demo, _),
            running_gateway(tmp_path, [Backend("demo", demo)], keys=keys) as rig,
            aiohttp.ClientSession() as http,
        ):
            fast = [await posted(http, rig, CHAT, SECRET) for _ in range(6)]
            side_by_side = await asyncio.gather(
                *(posted(http, rig, CHAT, OTHER_SECRET) for _ in range(3))
            )

            assert fast == [200] * 5 + [429]
            assert sorted(side_by_side) == [200, 429, 429]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("keys", "status", "code"),
    [
        (key_set(key_fact(expires_at_ms=1)), 401, "key_expired"),
        (key_set(stale_in_ms=-1), 503, "key_set_stale"),
        (key_set(key_fact(models=("another",))), 403, "model_forbidden"),
        (key_set(key_fact(OTHER_SECRET)), 401, "invalid_api_key"),
    ],
)
def test_a_key_that_is_not_good_here_is_refused_by_name(
    tmp_path: Path, keys: object, status: int, code: str
) -> None:
    async def scenario() -> None:
        async with (
            running_demo() as (demo, totals),
            running_gateway(tmp_path, [Backend("demo", demo)], keys=keys) as rig,  # type: ignore[arg-type]
            aiohttp.ClientSession(headers=BEARER) as http,
        ):
            async with http.post(f"{rig.base_url}/chat/completions", json=CHAT) as answer:
                said = await answer.json()

            assert (answer.status, said["error"]["code"]) == (status, code)
            assert totals.requests == 0

    asyncio.run(scenario())


def test_a_model_without_a_price_is_not_sold_and_not_listed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            running_demo() as (demo, totals),
            running_gateway(tmp_path, [Backend("demo", demo)], prices=[]) as rig,
            aiohttp.ClientSession(headers=BEARER) as http,
        ):
            async with http.post(f"{rig.base_url}/chat/completions", json=CHAT) as answer:
                said = await answer.json()
            async with http.get(f"{rig.base_url}/models") as listed:
                models = await listed.json()

            assert (answer.status, said["error"]["code"]) == (503, "model_not_sold")
            assert models["data"] == []
            assert totals.requests == 0

    asyncio.run(scenario())


def test_a_tenants_own_backend_is_nobody_elses(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_demo() as (demo, _):
            own = Backend("app", demo, tenant_id="t_two")
            async with (
                running_gateway(tmp_path, [own]) as rig,
                aiohttp.ClientSession(headers=BEARER) as http,
            ):
                assert await posted(http, rig, CHAT) == 404
                assert rig.room.backends.served_models() == ()

    asyncio.run(scenario())


def test_prompts_and_answers_are_nowhere_in_the_store(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            running_demo() as (demo, _),
            running_gateway(tmp_path, [Backend("demo", demo)]) as rig,
            aiohttp.ClientSession(headers=BEARER) as http,
        ):
            said = [{"role": "user", "content": "xyzzyplugh"}]
            await posted(http, rig, CHAT | {"messages": said})
            await rig.closed_rows()

    asyncio.run(scenario())

    for path in tmp_path.iterdir():
        assert b"xyzzyplugh" not in path.read_bytes()
        assert SECRET.encode() not in path.read_bytes()


async def posted(http: aiohttp.ClientSession, rig: Rig, call: object, secret: str = SECRET) -> int:
    """Return the status of a chat, read to its end."""
    async with http.post(
        f"{rig.base_url}/chat/completions",
        json=call,
        headers={"Authorization": f"Bearer {secret}"},
    ) as answer:
        await answer.read()
        if answer.status == 429:
            assert int(answer.headers["Retry-After"]) >= 1
        return answer.status


async def left_after(http: aiohttp.ClientSession, rig: Rig, pieces: int) -> None:
    """Read so many events of a stream, then go."""
    answer = await http.post(f"{rig.base_url}/chat/completions", json=CHAT | {"stream": True})
    for _ in range(pieces):
        await answer.content.readuntil(b"\n\n")
    answer.close()


async def until(happened: Callable[[], bool]) -> None:
    for _ in range(500):
        if happened():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within 5 s")

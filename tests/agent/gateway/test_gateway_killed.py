"""kill -9 of the process that serves the gateway, in the middle of streams (fault 45)."""

import asyncio
import signal
import sys
from pathlib import Path

import aiohttp

from agent.gateway.backends import Backend
from agent.gateway.loop import CHECKPOINT_S
from tests.agent.gateway.rig import SECRET, running_demo, running_gateway

CHAT = {
    "model": "demo-echo",
    "messages": [{"role": "user", "content": "word " * 400}],
    "max_tokens": 400,
    "stream": True,
}
DELAY_MS = 10
STREAMS = 5


def test_streams_cut_by_a_kill_are_settled_at_their_last_second(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_demo(delay_ms=DELAY_MS) as (demo, totals):
            gateway = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.agent.gateway.killable", str(tmp_path), demo),
                stdout=asyncio.subprocess.PIPE,
            )
            assert gateway.stdout is not None
            url = (await gateway.stdout.readline()).decode().strip()
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {SECRET}"}) as http:
                streams = [_read_until_cut(http, url) for _ in range(STREAMS)]
                reading = asyncio.gather(*streams)
                await asyncio.sleep(CHECKPOINT_S * 1.6)
                gateway.send_signal(signal.SIGKILL)
                await gateway.wait()
                pieces = await reading

            async with running_gateway(tmp_path, [Backend("demo", demo)]) as rig:
                rows = await rig.rows()
                lease = await rig.lease()

            assert [row["outcome"] for row in rows] == ["cut_off"] * STREAMS
            billed = sum(int(str(row["tokens_out"])) for row in rows)
            assert 0 < billed <= sum(pieces) <= totals.completion_tokens
            # A second of tokens each, and what the machine took to write them down.
            assert sum(pieces) - billed <= STREAMS * (2 * CHECKPOINT_S * 1_000 / DELAY_MS)
            assert lease["reserved"] == 0
            assert lease["spent"] == sum(int(str(row["micros"])) for row in rows)

    asyncio.run(scenario())


async def _read_until_cut(http: aiohttp.ClientSession, url: str) -> int:
    """Return how many pieces of content came before the connection broke."""
    pieces = 0
    try:
        async with http.post(f"{url}/v1/chat/completions", json=CHAT) as answer:
            async for line in answer.content:
                pieces += b'"content":' in line
    except aiohttp.ClientError:
        return pieces
    raise AssertionError("the stream came to its end")

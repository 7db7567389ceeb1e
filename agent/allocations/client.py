"""Asks a container whether it is ready: a TCP connect, or a GET that answers 2xx."""

import asyncio

import httpx

from agent.allocations.probes import ATTEMPT_MS_MAX
from protocol.manifest import Probe


async def answers(address: str, probe: Probe) -> bool:
    """Whether the probe passes now.  Nothing that the container sends is kept or followed."""
    if not address:
        return False
    try:
        async with asyncio.timeout(ATTEMPT_MS_MAX / 1000):
            if probe.kind == "tcp":
                return await _connects(address, probe.port)
            return await _answers_http(address, probe)
    except (TimeoutError, OSError, httpx.HTTPError, httpx.InvalidURL):
        return False


async def _connects(address: str, port: int) -> bool:
    _, writer = await asyncio.open_connection(address, port)
    writer.close()
    return True


async def _answers_http(address: str, probe: Probe) -> bool:
    url = f"http://{address}:{probe.port}{probe.path}"
    async with (
        httpx.AsyncClient(trust_env=False, follow_redirects=False) as client,
        client.stream("GET", url) as answer,
    ):
        return answer.is_success

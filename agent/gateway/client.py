"""Asks a backend which models it serves: its probe and its discovery in one GET /v1/models."""

from typing import Annotated

import httpx
import msgspec

from agent.gateway.backends import Backend, BackendFailed, Discovered
from protocol.observed import MODELS_MAX

PROBE_S_MAX = 3.0
ANSWER_BYTES_MAX = 1024 * 1024
CONTEXT_TOKENS_MAX = 1 << 40


class _Model(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    max_model_len: int | None = None


class _Models(msgspec.Struct):
    data: list[_Model]


class ModelAsker:
    """Keeps connections to the backends for their probes."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(
            timeout=PROBE_S_MAX, follow_redirects=False, trust_env=False
        )

    async def list_models(self, backend: Backend) -> list[Discovered]:
        """Return the models that a backend serves; raises BackendFailed with the reason."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if backend.secret is not None:
            headers["Authorization"] = f"Bearer {backend.secret}"
        try:
            async with self._client.stream(
                "GET", backend.endpoint("models"), headers=headers
            ) as answer:
                body = await _bounded(answer)
        except httpx.HTTPError as error:
            raise BackendFailed(f"no answer ({type(error).__name__})") from error
        if answer.status_code != 200:
            raise BackendFailed(f"GET /v1/models answered {answer.status_code}")
        try:
            listed = msgspec.json.decode(body, type=_Models)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BackendFailed("GET /v1/models did not answer a list of models") from error
        return [
            Discovered(name=model.id, context_tokens=_context(model.max_model_len))
            for model in listed.data[:MODELS_MAX]
        ]

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()


async def _bounded(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > ANSWER_BYTES_MAX:
            raise BackendFailed(f"GET /v1/models answered over {ANSWER_BYTES_MAX} bytes")
    return bytes(body)


def _context(tokens: int | None) -> int | None:
    return tokens if tokens is not None and 0 < tokens <= CONTEXT_TOKENS_MAX else None

"""Where a key can call models, and what is handed out with a new one."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from web.view_models.access import EndpointRow
from web.view_models.parts import NewSecret

ENV_FILE = "outstation.env"
TRY_TOKENS_MAX = 32
TRY_PROMPT = "Say hello."


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A node's gateway.  models: those a key may call there now"""

    base_url: str
    node: str
    place: str
    models: tuple[str, ...]


def endpoint_rows(endpoints: Sequence[Endpoint]) -> tuple[EndpointRow, ...]:
    """Return the gateways as the page lists them."""
    return tuple(
        EndpointRow(base_url=one.base_url, node=one.node, place=one.place, models=one.models)
        for one in endpoints
    )


def shown_key(
    secret: str, *, prefix: str, endpoints: Sequence[Endpoint], registry: str
) -> NewSecret:
    """Return a new key with a file and a line that work: at a node that serves, if one does.

    registry  where the registry answers; it serves no model itself
    """
    first = endpoints[0] if endpoints else None
    return NewSecret(
        title="Your new API key",
        value=secret,
        prefix=prefix,
        file_name=ENV_FILE,
        file_text=_env(secret, endpoints),
        command=_whose(secret, registry) if first is None else _chat(secret, first),
        command_label=(
            "No node serves a model now. Until one does, this says whose key it is"
            if first is None
            else f"Try it: {first.models[0]} at {first.node}"
        ),
    )


def _env(secret: str, endpoints: Sequence[Endpoint]) -> str:
    lines = [f"OPENAI_API_KEY={secret}"]
    if not endpoints:
        lines.insert(
            0, "# No node served a model. Set OPENAI_BASE_URL once the page Keys lists one."
        )
    for at, one in enumerate(endpoints):
        mark = "" if at == 0 else "# or: "
        lines.append(f"# {one.node}, {one.place}: {', '.join(one.models)}")
        lines.append(f"{mark}OPENAI_BASE_URL={one.base_url}")
    return "\n".join(lines) + "\n"


def _chat(secret: str, endpoint: Endpoint) -> str:
    asked = {
        "model": endpoint.models[0],
        "max_tokens": TRY_TOKENS_MAX,
        "messages": [{"role": "user", "content": TRY_PROMPT}],
    }
    return " ".join(
        (
            "curl",
            shlex.quote(f"{endpoint.base_url}/chat/completions"),
            f"-H 'Authorization: Bearer {secret}'",
            "-H 'Content-Type: application/json'",
            f"-d {shlex.quote(json.dumps(asked))}",
        )
    )


def _whose(secret: str, registry: str) -> str:
    return f"curl {shlex.quote(f'{registry}/api/v1/me')} -H 'Authorization: Bearer {secret}'"

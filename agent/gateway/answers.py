"""What the gateway says itself in OpenAI's shapes: the list of models, and a stream's last word."""

from collections.abc import Iterable

import msgspec

from agent.gateway.backends import Discovered

CREATED_S = 0
"""When a model was made is not known here; the field is there because clients insist on it."""


def model_answer(model: Discovered) -> dict[str, object]:
    """Return one model as OpenAI describes it."""
    answer: dict[str, object] = {
        "id": model.name,
        "object": "model",
        "created": CREATED_S,
        "owned_by": "outstation",
    }
    if model.context_tokens is not None:
        answer["max_model_len"] = model.context_tokens
    return answer


def models_answer(models: Iterable[Discovered]) -> dict[str, object]:
    """Return the list of models."""
    return {"object": "list", "data": [model_answer(model) for model in models]}


def error_event(code: str, message: str) -> bytes:
    """Return the event that ends a stream which broke; the SDKs raise its message."""
    error = {"message": message, "type": "server_error", "code": code, "param": None}
    return b"data: " + msgspec.json.encode({"error": error}) + b"\n\n"

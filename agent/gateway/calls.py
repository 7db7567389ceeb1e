"""A call as the gateway understands it, and the most it can come to.

The fields are a closed list, what an engine may be asked for; their bounds keep one call from
costing more than was reserved for it.  The body that goes on is the caller's own bytes, with only
what metering needs put in front: usage in streams, and an end where the caller named none.
"""

import math
from dataclasses import dataclass
from typing import Literal

import msgspec

from agent.gateway.content import MEDIA_TOKENS_MAX, media_characters, wrong_field
from agent.gateway.json_body import Json, read_json
from protocol.refusal import Refusal

Endpoint = Literal["chat/completions", "completions", "embeddings"]

MODEL_CHARACTERS_MAX = 64
OUTPUT_TOKENS_MAX = 1_000_000
OUTPUTS_MAX = 16
PROMPTS_MAX = 2_048
LOGPROBS_MAX = 20
BIASES_MAX = 1_024
STOPS_MAX = 16
STRUCTURE_BYTES_MAX = 256 * 1024
PATTERN_CHARACTERS_MAX = 4_096
CHAT_OUTPUT_TOKENS_DEFAULT = 4_096
TEXT_OUTPUT_TOKENS_DEFAULT = 16
"""What a completion is cut at where the caller names no end; OpenAI's own default."""

BYTES_PER_TOKEN = 4
TEMPLATE_TOKENS = 64
"""What an engine's chat template may add to a prompt, over the bytes of the JSON around it."""

SAMPLING = frozenset(
    {
        "frequency_penalty", "presence_penalty", "repetition_penalty", "length_penalty",
        "temperature", "top_p", "top_k", "min_p", "seed", "stop", "stop_token_ids", "min_tokens",
        "ignore_eos", "skip_special_tokens", "logit_bias", "include_stop_str_in_output",
        "guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs",
        "response_format", "stream", "stream_options", "model", "user", "n", "max_tokens",
    }
)  # fmt: skip
CHAT = frozenset(
    {
        "messages", "max_completion_tokens", "logprobs", "top_logprobs", "tools", "tool_choice",
        "functions", "function_call", "parallel_tool_calls", "reasoning_effort", "verbosity",
        "metadata", "store", "service_tier", "modalities", "prediction", "safety_identifier",
        "prompt_cache_key", "prompt_cache_retention", "chat_template_kwargs",
        "add_generation_prompt", "continue_final_message",
    }
)  # fmt: skip
FIELDS: dict[Endpoint, frozenset[str]] = {
    "chat/completions": SAMPLING | CHAT,
    "completions": SAMPLING | {"prompt", "suffix", "echo", "best_of", "logprobs"},
    "embeddings": frozenset({"model", "input", "encoding_format", "dimensions", "user"}),
}
STRUCTURES = (
    "response_format", "guided_json", "guided_choice", "guided_grammar", "structured_outputs",
    "tools", "functions", "chat_template_kwargs", "metadata", "prediction", "tool_choice",
)  # fmt: skip
PATTERNS = frozenset({"guided_regex", "regex", "pattern"})
"""Fields that an engine compiles as regular expressions, wherever in a structure they stand."""

TEMPLATE_SWITCHES = frozenset(
    {
        "enable_thinking", "thinking", "thinking_budget", "preserve_thinking", "reasoning_effort",
        "add_vision_id",
    }
)  # fmt: skip
TEMPLATE_TEXT_CHARACTERS_MAX = 64
"""What a caller may tell a chat template; a template itself is a program and never taken."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call, read and checked.

    wants_usage    the caller asked for the usage chunk of a stream
    tokens_in_max  no prompt of this many bytes has more tokens
    tokens_in_estimate, used only where the engine does not count
    tokens_out_max over all answers of the call
    body           what the backend is sent
    """

    endpoint: Endpoint
    model: str
    stream: bool
    wants_usage: bool
    tokens_in_max: int
    tokens_in_estimate: int
    tokens_out_max: int
    body: bytes


def read_call(endpoint: Endpoint, body: bytes) -> Call:
    """Return the call in a request body; refuse by field what is unknown or out of bounds."""
    fields = read_json(body)
    for name in fields:
        if name not in FIELDS[endpoint]:
            raise _unknown(name, endpoint)
    model = fields.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= MODEL_CHARACTERS_MAX:
        raise wrong_field("model", f"must be text of 1 to {MODEL_CHARACTERS_MAX} characters")
    _check_structures(fields)
    if endpoint == "embeddings":
        _prompts(fields.get("input"), "input")
        return _call(endpoint, model, body, tokens_out_max=0)
    stream = _flag(fields, "stream")
    asked, wants_usage = _stream_options(fields)
    outputs, media = _outputs_and_media(endpoint, fields)
    limit, named = _limit(endpoint, fields)
    if not named or stream:
        body = _completed(body, fields, limit=limit, named=named, stream=stream, asked=asked)
    return _call(
        endpoint,
        model,
        body,
        tokens_out_max=outputs * limit,
        stream=stream,
        wants_usage=wants_usage,
        media=media,
    )


def _call(
    endpoint: Endpoint,
    model: str,
    body: bytes,
    *,
    tokens_out_max: int,
    stream: bool = False,
    wants_usage: bool = False,
    media: tuple[int, int] = (0, 0),
) -> Call:
    count, characters = media
    text_bytes = len(body) - characters
    media_tokens = count * MEDIA_TOKENS_MAX
    return Call(
        endpoint=endpoint,
        model=model,
        stream=stream,
        wants_usage=wants_usage,
        tokens_in_max=text_bytes + media_tokens + TEMPLATE_TOKENS,
        tokens_in_estimate=-(-text_bytes // BYTES_PER_TOKEN),
        tokens_out_max=tokens_out_max,
        body=body,
    )


def _outputs_and_media(endpoint: Endpoint, fields: dict[str, Json]) -> tuple[int, tuple[int, int]]:
    """Return how many answers the call asks for, and what media it carries."""
    outputs = _count(fields, "n", least=1, most=OUTPUTS_MAX, default=1)
    if endpoint == "chat/completions":
        return outputs, media_characters(fields.get("messages"))
    best_of = _count(fields, "best_of", least=1, most=OUTPUTS_MAX, default=outputs)
    if best_of < outputs:
        raise wrong_field("best_of", "must not be less than n")
    return best_of * _prompts(fields.get("prompt"), "prompt"), (0, 0)


def _prompts(value: Json, field: str) -> int:
    """Return how many prompts `value` holds: a text, its tokens, or a list of either."""
    if isinstance(value, str):
        return 1
    if not isinstance(value, list) or not value:
        raise wrong_field(field, "must be text, tokens, or a list of them")
    if all(type(token) is int and token >= 0 for token in value):
        return 1
    if len(value) > PROMPTS_MAX:
        raise wrong_field(field, f"must hold at most {PROMPTS_MAX} prompts")
    for prompt in value:
        tokens = isinstance(prompt, list) and all(type(token) is int for token in prompt)
        if not isinstance(prompt, str) and not tokens:
            raise wrong_field(field, "must be text, tokens, or a list of them")
    return len(value)


def _limit(endpoint: Endpoint, fields: dict[str, Json]) -> tuple[int, bool]:
    """Return the most tokens of one answer, and whether the caller named it."""
    chat = endpoint == "chat/completions"
    default = CHAT_OUTPUT_TOKENS_DEFAULT if chat else TEXT_OUTPUT_TOKENS_DEFAULT
    named = [
        _count(fields, name, least=1, most=OUTPUT_TOKENS_MAX, default=default)
        for name in ("max_completion_tokens", "max_tokens")
        if fields.get(name) is not None
    ]
    return max(named, default=default), bool(named)


def _stream_options(fields: dict[str, Json]) -> tuple[bool, bool]:
    """Return whether the call has stream options at all, and whether they ask for usage."""
    options = fields.get("stream_options")
    if options is None:
        return "stream_options" in fields, False
    if not isinstance(options, dict):
        raise wrong_field("stream_options", "must be an object")
    for name in options:
        if name not in ("include_usage", "include_obfuscation"):
            raise wrong_field(f"stream_options.{name[:64]}", "is not known")
    wants = options.get("include_usage")
    if wants is not None and not isinstance(wants, bool):
        raise wrong_field("stream_options.include_usage", "must be true or false")
    return True, bool(wants)


def _completed(
    body: bytes, fields: dict[str, Json], *, limit: int, named: bool, stream: bool, asked: bool
) -> bytes:
    """Return the body with an end and, in a stream, the wish for usage; else byte for byte."""
    replaced = [name for name in ("max_tokens", "max_completion_tokens") if name in fields]
    if (not named and replaced) or (stream and asked):
        changed = dict(fields)
        if not named:
            changed = {name: value for name, value in changed.items() if name not in replaced}
            changed["max_tokens"] = limit
        if stream:
            changed["stream_options"] = {"include_usage": True}
        return msgspec.json.encode(changed)
    added = b""
    if not named:
        added += b'"max_tokens":%d,' % limit
    if stream:
        added += b'"stream_options":{"include_usage":true},'
    opening = body.index(b"{") + 1
    return body[:opening] + added + body[opening:]


def _check_structures(fields: dict[str, Json]) -> None:
    """Refuse what is cheap to send and dear to compile: grammars, patterns, tables of biases."""
    for name in STRUCTURES:
        value = fields.get(name)
        if value is not None and len(msgspec.json.encode(value)) > STRUCTURE_BYTES_MAX:
            raise wrong_field(name, f"is larger than {STRUCTURE_BYTES_MAX} bytes")
        _check_patterns(value, name)
    _check_patterns({"guided_regex": fields.get("guided_regex")}, "")
    _check_switches(fields.get("chat_template_kwargs"))
    bias = fields.get("logit_bias")
    if bias is not None and (not isinstance(bias, dict) or len(bias) > BIASES_MAX):
        raise wrong_field("logit_bias", f"must be an object of at most {BIASES_MAX} tokens")
    stops = fields.get("stop")
    if isinstance(stops, list) and len(stops) > STOPS_MAX:
        raise wrong_field("stop", f"must hold at most {STOPS_MAX} texts")
    _count(fields, "top_logprobs", least=0, most=LOGPROBS_MAX, default=0)
    _count(fields, "min_tokens", least=0, most=OUTPUT_TOKENS_MAX, default=0)
    if not isinstance(fields.get("logprobs"), bool):
        _count(fields, "logprobs", least=0, most=LOGPROBS_MAX, default=0)
    for name in ("temperature", "top_p", "min_p", "frequency_penalty", "presence_penalty"):
        _check_figure(fields.get(name), name)


def _check_patterns(structure: Json, path: str) -> None:
    """Refuse a long regular expression, however deep in a structure it stands."""
    waiting = [(structure, path)]
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, list):
            waiting.extend((inner, path) for inner in value)
        elif isinstance(value, dict):
            for name, inner in value.items():
                if name in PATTERNS and isinstance(inner, str):
                    if len(inner) > PATTERN_CHARACTERS_MAX:
                        raise wrong_field(
                            f"{path}.{name}".lstrip("."),
                            f"must be text of at most {PATTERN_CHARACTERS_MAX} characters",
                        )
                elif name == "guided_regex" and inner is not None:
                    raise wrong_field(name, "must be text")
                else:
                    waiting.append((inner, f"{path}.{name[:64]}"))


def _check_switches(switches: Json) -> None:
    """Refuse what is not a plain switch of a chat template."""
    if switches is None:
        return
    if not isinstance(switches, dict):
        raise wrong_field("chat_template_kwargs", "must be an object")
    for name, value in switches.items():
        path = f"chat_template_kwargs.{name[:64]}"
        if name not in TEMPLATE_SWITCHES:
            known = ", ".join(sorted(TEMPLATE_SWITCHES))
            raise wrong_field(path, f"is not known; {known} are")
        short = isinstance(value, str) and len(value) <= TEMPLATE_TEXT_CHARACTERS_MAX
        if not (short or isinstance(value, bool | int)):
            raise wrong_field(path, "must be true, false, a whole number or a short text")


def _check_figure(value: Json, name: str) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise wrong_field(name, "must be a number")


def _count(fields: dict[str, Json], name: str, *, least: int, most: int, default: int) -> int:
    """Return a whole number within its bounds; `true` and `1.0` are none."""
    value = fields.get(name)
    if value is None:
        return default
    if type(value) is not int or not least <= value <= most:
        raise wrong_field(name, f"must be a whole number from {least} to {most}")
    return value


def _flag(fields: dict[str, Json], name: str) -> bool:
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise wrong_field(name, "must be true or false")
    return bool(value)


def _unknown(name: str, endpoint: Endpoint) -> Refusal:
    shown = name[:64] if name.isprintable() else "a field"
    return Refusal(
        code="field_unknown",
        status=400,
        message=f"{shown} is not a field that {endpoint} takes.",
        hint="Remove it; addresses, keys and templates of a backend are never taken from a call.",
        field=shown,
    )

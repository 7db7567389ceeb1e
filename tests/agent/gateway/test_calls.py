"""What a call may ask for, and the most it can come to."""

import json
from typing import Any

import pytest

from agent.gateway.calls import (
    CHAT_OUTPUT_TOKENS_DEFAULT,
    TEMPLATE_TOKENS,
    Endpoint,
    read_call,
)
from agent.gateway.content import MEDIA_TOKENS_MAX
from protocol.refusal import Refusal

PICTURE = "data:image/png;base64,aGVsbG8="
HELLO = [{"role": "user", "content": "Hello"}]


def chat(**fields: object) -> bytes:
    return json.dumps({"model": "m", "messages": HELLO, **fields}).encode()


def parts(*content: object) -> bytes:
    return chat(messages=[{"role": "user", "content": list(content)}], max_tokens=5)


def refused(endpoint: Endpoint, body: bytes) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        read_call(endpoint, body)
    return refusal.value


def test_a_whole_call_with_an_end_goes_on_byte_for_byte() -> None:
    body = b'{ "messages" : [{"role":"user","content":"H\\u00e9"}],"model":"m", "max_tokens":7}'

    call = read_call("chat/completions", body)

    assert call.body == body
    assert call.tokens_out_max == 7
    assert call.tokens_in_max == len(body) + TEMPLATE_TOKENS


def test_a_call_without_an_end_gets_one_so_that_it_can_be_reserved_for() -> None:
    call = read_call("chat/completions", chat())

    assert json.loads(call.body)["max_tokens"] == CHAT_OUTPUT_TOKENS_DEFAULT
    assert call.tokens_out_max == CHAT_OUTPUT_TOKENS_DEFAULT
    assert (
        json.loads(read_call("completions", b'{"model":"m","prompt":""}').body)["max_tokens"] == 16
    )


@pytest.mark.parametrize(
    ("options", "wants"),
    [
        ({}, False),
        ({"stream_options": None}, False),
        ({"stream_options": {}}, False),
        ({"stream_options": {"include_usage": False}}, False),
        ({"stream_options": {"include_usage": True}}, True),
    ],
)
@pytest.mark.parametrize("end", [{}, {"max_tokens": 9}, {"max_tokens": None}])
def test_a_stream_is_always_asked_for_usage(
    options: dict[str, Any], wants: bool, end: dict[str, Any]
) -> None:
    call = read_call("chat/completions", chat(stream=True, **options, **end))

    sent = json.loads(call.body)
    assert sent["stream_options"] == {"include_usage": True}
    assert sent["max_tokens"] == call.tokens_out_max == (end.get("max_tokens") or 4_096)
    assert sent["messages"] == HELLO
    assert call.wants_usage is wants


def test_every_answer_and_every_prompt_is_reserved_for() -> None:
    body = json.dumps(
        {"model": "m", "prompt": ["a", "b", "c"], "n": 2, "best_of": 4, "max_tokens": 10}
    ).encode()

    assert read_call("completions", body).tokens_out_max == 3 * 4 * 10
    assert read_call("chat/completions", chat(n=3, max_tokens=10)).tokens_out_max == 30
    both = chat(max_tokens=5, max_completion_tokens=50)
    assert read_call("chat/completions", both).tokens_out_max == 50


def test_a_list_of_tokens_is_one_prompt() -> None:
    body = b'{"model":"m","prompt":[1,2,3],"max_tokens":10}'

    assert read_call("completions", body).tokens_out_max == 10


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("n", value) for value in (10**6, 0, -1, 1.0, 1.5, True, "1", 2**63)],
        *[("max_tokens", value) for value in (2**63, -1, 0, 1.5, True, "9", [1], 10**30)],
        ("max_completion_tokens", 2**63),
        ("top_logprobs", 10**6),
        ("min_tokens", -1),
        ("temperature", "hot"),
        ("temperature", True),
        ("stream", "yes"),
        ("stream", 1),
        ("stream_options", "usage"),
        ("stream_options.include_usage", None),
        ("logit_bias", {str(token): 1 for token in range(2_000)}),
        ("logit_bias", [1]),
        ("stop", ["x"] * 100),
        ("guided_regex", "(a+)+" * 1_000),
        ("guided_regex", 7),
        ("structured_outputs", {"regex": "(a+)+" * 1_000}),
        ("response_format", {"json_schema": {"schema": {"a": [{"pattern": "a" * 5_000}]}}}),
        ("tools", [{"function": {"parameters": {"b": {"pattern": "a" * 5_000}}}}]),
        ("chat_template_kwargs", ["enable_thinking"]),
        ("chat_template_kwargs", {"chat_template": "{{ 7 * 7 }}"}),
        ("chat_template_kwargs", {"tokenize": True}),
        ("chat_template_kwargs", {"enable_thinking": {"a": 1}}),
        ("chat_template_kwargs", {"reasoning_effort": "x" * 65}),
        ("messages", [{"role": "user", "content": "a", "audio": {"url": "http://10.0.0.1/"}}]),
        ("messages", [{"role": "assistant", "tool_calls": "all"}]),
        ("messages", [{"role": "assistant", "tool_calls": [{"id": "a", "url": "http://x"}]}]),
        ("guided_grammar", "x" * 300_000),
        ("response_format", {"type": "json_schema", "json_schema": "x" * 300_000}),
        ("tools", ["x" * 300_000]),
        ("model", 7),
        ("model", ""),
        ("model", "m" * 65),
        ("messages", []),
        ("messages", "Hello"),
        ("messages", None),
    ],
)
def test_a_field_out_of_bounds_is_refused_by_name(field: str, value: object) -> None:
    top, _, inner = field.partition(".")
    fields = {top: {inner: "true"} if inner else value}

    refusal = refused("chat/completions", chat(**fields))

    assert refusal.status == 400
    assert refusal.code in ("field_invalid", "json_invalid")
    if refusal.code == "field_invalid":
        assert refusal.field is not None
        assert refusal.field.startswith(top)


@pytest.mark.parametrize(
    "field", ["api_base", "base_url", "user_config", "api_key", "chat_template", "priority", "\x1b"]
)
def test_an_unknown_field_is_refused(field: str) -> None:
    for endpoint, rest in (
        ("chat/completions", {"messages": HELLO}),
        ("completions", {"prompt": "a"}),
        ("embeddings", {"input": "a"}),
    ):
        body = json.dumps({"model": "m", **rest, field: "http://169.254.169.254/"}).encode()

        refusal = refused(endpoint, body)  # type: ignore[arg-type]

        assert (refusal.status, refusal.code) == (400, "field_unknown")
        assert "\x1b" not in refusal.message


@pytest.mark.parametrize("kind", ["image_url", "video_url", "audio_url"])
@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/a.png",
        "https://example.org/a.png",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data",
        "data:text/html;base64,aGVsbG8=",
        "data:image/png,plain",
        "data:image/png;base64,aGVsbG8=\nhttp://x",
        " data:image/png;base64,aGVsbG8=",
        "",
        7,
        None,
        ["http://x"],
    ],
)
def test_media_from_anywhere_but_the_call_itself_are_refused(kind: str, url: object) -> None:
    for value in ({"url": url}, url):
        refusal = refused("chat/completions", parts({"type": kind, kind: value}))

        assert (refusal.status, refusal.code) == (400, "media_remote")


@pytest.mark.parametrize(
    "part",
    [
        {"image_url": {"url": "http://10.0.0.1/"}},
        {"type": "image_embeds", "image_embeds": "x"},
        {"type": "file", "file": {"file_id": "x"}},
        {"type": "text", "text": "a", "image_url": {"url": "http://10.0.0.1/"}},
        {"type": "text", "text": ["a"]},
        {"type": "input_audio", "input_audio": {"url": "http://10.0.0.1/"}},
        {"type": "input_audio", "input_audio": {"data": "aGVsbG8=", "url": "http://10.0.0.1/"}},
        {"type": "image_url", "image_url": {"url": PICTURE, "proxy": "http://10.0.0.1/"}},
        {"type": ["text"]},
        "text",
    ],
)
def test_a_part_of_another_shape_is_refused(part: object) -> None:
    assert refused("chat/completions", parts(part)).status == 400


def test_an_answer_is_taken_back_as_an_sdk_keeps_it() -> None:
    answer = {
        "role": "assistant", "content": None, "refusal": None, "annotations": [], "audio": None,
        "function_call": None, "reasoning_content": "Let me see.",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ],
    }  # fmt: skip
    result = {"role": "tool", "tool_call_id": "c1", "content": "7"}
    body = chat(messages=[*HELLO, answer, result], chat_template_kwargs={"enable_thinking": False})

    assert json.loads(read_call("chat/completions", body).body)["messages"] == [
        *HELLO,
        answer,
        result,
    ]


def test_a_picture_inside_the_call_is_reserved_for_by_its_kind_not_its_bytes() -> None:
    big = "data:image/png;base64," + "A" * 100_000
    body = parts({"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": big}})

    call = read_call("chat/completions", body)

    assert call.tokens_in_max == len(body) - len(big) + MEDIA_TOKENS_MAX + TEMPLATE_TOKENS
    assert call.tokens_in_estimate < 100
    read_call("chat/completions", parts({"type": "image_url", "image_url": {"url": PICTURE}}))


@pytest.mark.parametrize("value", [None, [], [["a"]], {"a": 1}, [1, "a"], [1.5], ["a"] * 3000])
def test_an_embedding_of_nothing_readable_is_refused(value: object) -> None:
    body = json.dumps({"model": "m", "input": value}).encode()

    assert refused("embeddings", body).field == "input"

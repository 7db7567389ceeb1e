"""What the messages of a call may carry: text, and media inside the call itself.

An engine fetches whatever address a message names, from inside the site's network; so media travel
as `data:` URLs or not at all.
"""

import re

from agent.gateway.json_body import Json
from protocol.refusal import Refusal

MESSAGES_MAX = 4_096
PARTS_MAX = 1_024
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
PART_TYPES = frozenset({"text", "refusal", "input_audio", "image_url", "video_url", "audio_url"})
MESSAGE_FIELDS = frozenset(
    {
        "role", "content", "name", "refusal", "tool_calls", "tool_call_id", "function_call",
        "reasoning", "reasoning_content", "annotations",
    }
)  # fmt: skip
"""What a message holds; an SDK that sends an answer back sends more, all of it null."""

TOOL_CALL_FIELDS = frozenset({"id", "type", "index", "function"})
IMAGE_FIELDS = frozenset({"url", "detail"})
AUDIO_FIELDS = frozenset({"data", "format"})
MEDIA_TOKENS_MAX = 16_384
"""The most tokens that one picture, sound or film is reserved for."""

DATA_URL_PATTERN = re.compile(
    r"data:(?:image|audio|video)/[a-z0-9.+-]{1,32};base64,[A-Za-z0-9+/=]+", re.ASCII
)


def media_characters(messages: Json) -> tuple[int, int]:
    """Return how many media the messages carry and how many characters they take.

    Refuses a message of unknown shape, and media that are anywhere but in the call itself.
    """
    if not isinstance(messages, list) or not 0 < len(messages) <= MESSAGES_MAX:
        raise wrong_field("messages", f"must be a list of 1 to {MESSAGES_MAX} messages")
    count = characters = 0
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise wrong_field(f"{path}.role", "must be one of " + ", ".join(sorted(ROLES)))
        _check_known(message, MESSAGE_FIELDS, path)
        _check_tool_calls(message.get("tool_calls"), f"{path}.tool_calls")
        parts = message.get("content")
        if isinstance(parts, list):
            if len(parts) > PARTS_MAX:
                raise wrong_field(f"{path}.content", f"has over {PARTS_MAX} parts")
            for at, part in enumerate(parts):
                media = _media(part, f"{path}.content[{at}]")
                count += media > 0
                characters += media
        elif parts is not None and not isinstance(parts, str):
            raise wrong_field(f"{path}.content", "must be text or a list of parts")
    return count, characters


def wrong_field(field: str, why: str) -> Refusal:
    """Return the refusal of one field of a call."""
    return Refusal(
        code="field_invalid",
        status=400,
        message=f"{field} {why}.",
        hint="Correct this field and send the call again.",
        field=field,
    )


def _check_known(fields: dict[str, Json], known: frozenset[str], path: str) -> None:
    """Refuse a field that is neither known nor null: an engine might take an address from it."""
    for name, value in fields.items():
        if name not in known and value is not None:
            raise wrong_field(f"{path}.{name[:64]}", "is not known")


def _check_tool_calls(calls: Json, path: str) -> None:
    if calls is None:
        return
    if not isinstance(calls, list) or len(calls) > PARTS_MAX:
        raise wrong_field(path, f"must be a list of at most {PARTS_MAX} calls")
    for at, call in enumerate(calls):
        if not isinstance(call, dict):
            raise wrong_field(f"{path}[{at}]", "must be an object")
        _check_known(call, TOOL_CALL_FIELDS, f"{path}[{at}]")


def _media(part: Json, path: str) -> int:
    """Return how many characters of media a part carries, 0 for text."""
    if not isinstance(part, dict):
        raise wrong_field(path, "must be an object")
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in PART_TYPES:
        raise wrong_field(f"{path}.type", "must be one of " + ", ".join(sorted(PART_TYPES)))
    for name in part:
        if name not in ("type", kind, "cache_control", "uuid"):
            raise wrong_field(f"{path}.{name}", f"does not belong into a part of type {kind}")
    if kind in ("text", "refusal"):
        if not isinstance(part.get(kind), str):
            raise wrong_field(f"{path}.{kind}", "must be text")
        return 0
    if kind == "input_audio":
        audio = part.get(kind)
        sound = audio.get("data") if isinstance(audio, dict) else None
        if not isinstance(audio, dict) or not isinstance(sound, str):
            raise wrong_field(f"{path}.input_audio.data", "must be base64 text")
        _check_known(audio, AUDIO_FIELDS, f"{path}.input_audio")
        return len(sound)
    return _data_url(part.get(kind), f"{path}.{kind}")


def _data_url(value: Json, path: str) -> int:
    url = value
    if isinstance(value, dict):
        _check_known(value, IMAGE_FIELDS, path)
        url = value.get("url")
    if not isinstance(url, str) or DATA_URL_PATTERN.fullmatch(url) is None:
        raise Refusal(
            code="media_remote",
            status=400,
            message=f"{path}: media must be inside the call, as a data: URL in base64.",
            hint="Read the file yourself and send it as data:image/png;base64,….",
            field=path,
        )
    return len(url)

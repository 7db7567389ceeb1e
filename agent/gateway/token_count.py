"""Tokens of an answer, counted while its bytes go by.

An engine's own `usage` is exact.  In a stream it comes in a chunk of its own near the end, which is
taken out again unless the caller asked for it; until then, and if it never comes, the pieces of
content that went by are the count, which is then an estimate.

The patterns cannot be fooled by what a model says: inside a JSON string a quotation mark always has
a backslash before it, so `"usage":{` outside one is a real name.
"""

import re
from dataclasses import dataclass

import msgspec

from agent.gateway.price_list import Tokens

EVENT_BYTES_MAX = 4 * 1024 * 1024
TOKENS_MAX = 1 << 40

USAGE_MARK = b'"usage"'
USAGE_PATTERN = re.compile(rb'(?<!\\)"usage"\s*:\s*\{')
CONTENT_PATTERN = re.compile(
    rb'(?<!\\)"(?:content|text|reasoning_content|reasoning|arguments|refusal)"\s*:\s*"(?!")'
)
FINISH_PATTERN = re.compile(rb'(?<!\\)"finish_reason"\s*:\s*"')
DONE_PATTERN = re.compile(rb"(?:^|\n)data: ?\[DONE\]")
EVENT_END_PATTERN = re.compile(rb"\r?\n\r?\n")


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Answer(msgspec.Struct):
    usage: _Usage | None = None


class _Chunk(msgspec.Struct):
    usage: _Usage | None = None
    choices: list[msgspec.Raw] = []


@dataclass(slots=True)
class Count:
    """What has been produced so far, seen from here.

    begun  an answer of the engine has begun: the call counts as a request
    exact  the engine's own figures, not pieces counted here
    """

    tokens_in: int = 0
    tokens_out: int = 0
    begun: bool = False
    exact: bool = False

    def tokens(self) -> Tokens:
        """Return the count as quantities."""
        return Tokens(self.tokens_in, self.tokens_out, int(self.begun))

    def take_usage(self, usage: _Usage) -> None:
        """Take the engine's own figures; senseless ones change nothing."""
        if 0 <= usage.prompt_tokens <= TOKENS_MAX and 0 <= usage.completion_tokens <= TOKENS_MAX:
            self.tokens_in = usage.prompt_tokens
            self.tokens_out = usage.completion_tokens
            self.exact = True


def count_whole(body: bytes, count: Count, *, tokens_in_estimate: int) -> bool:
    """Count an answer that came in one piece; False, and nothing counted, if it is not JSON."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    count.begun = True
    if answer.usage is not None:
        count.take_usage(answer.usage)
    if not count.exact:
        count.tokens_in = tokens_in_estimate
        count.tokens_out = sum(
            -(-_string_bytes(body, match.end()) // 4) for match in CONTENT_PATTERN.finditer(body)
        )
    return True


class StreamCount:
    """Counts a stream of server-sent events and says which bytes go on to the caller.

    Only whole events are judged and passed on; of an unfinished one at most EVENT_BYTES_MAX wait.
    """

    def __init__(self, count: Count, *, wants_usage: bool, tokens_in_estimate: int) -> None:
        self._count = count
        self._wants_usage = wants_usage
        self._estimate = tokens_in_estimate
        self._waiting = b""
        self.finished = False
        """Whether the engine said that the stream is at its end."""

    def passed(self, received: bytes) -> bytes:
        """Return what of the bytes received goes on now."""
        if not self._count.begun:
            self._count.begun = True
            self._count.tokens_in = self._estimate
        if self._waiting:
            received = self._waiting + received
            self._waiting = b""
        if not received.endswith(b"\n\n"):
            received = self._whole_events(received)
            if not received:
                return b""
        if USAGE_MARK in received:
            received = self._without_usage(received)
        elif not self._count.exact:
            self._count.tokens_out += len(CONTENT_PATTERN.findall(received))
        if not self.finished:
            self.finished = DONE_PATTERN.search(received) is not None
        return received

    def rest(self) -> bytes:
        """Return what still waits once the engine has ended."""
        waiting, self._waiting = self._waiting, b""
        return self._without_usage(waiting) if USAGE_MARK in waiting else waiting

    def _whole_events(self, received: bytes) -> bytes:
        """Keep what follows the last end of an event; return what is before."""
        ends = [match.end() for match in EVENT_END_PATTERN.finditer(received)]
        end = ends[-1] if ends else 0
        self._waiting = received[end:]
        if len(self._waiting) > EVENT_BYTES_MAX:
            self._waiting = b""
            return received
        return received[:end]

    def _without_usage(self, events: bytes) -> bytes:
        """Return the events without the one that only tells usage, unless it was asked for."""
        kept = []
        begin = 0
        while begin < len(events):
            match = EVENT_END_PATTERN.search(events, begin)
            end = match.end() if match else len(events)
            event = events[begin:end]
            begin = end
            if not self._is_usage_alone(event) or self._wants_usage:
                kept.append(event)
        return b"".join(kept)

    def _is_usage_alone(self, event: bytes) -> bool:
        """Count one event; whether it tells nothing but usage."""
        if USAGE_PATTERN.search(event) is not None:
            try:
                chunk = msgspec.json.decode(event.partition(b"data:")[2], type=_Chunk)
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                chunk = _Chunk()
            if chunk.usage is not None:
                self._count.take_usage(chunk.usage)
                return not chunk.choices
        if not self._count.exact:
            self._count.tokens_out += len(CONTENT_PATTERN.findall(event))
        return False


def _string_bytes(body: bytes, begin: int) -> int:
    """Return how long the JSON string is whose first character stands at `begin`."""
    at = begin
    while at < len(body) and body[at] != 0x22:
        at += 2 if body[at] == 0x5C else 1
    return min(at, len(body)) - begin

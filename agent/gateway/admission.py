"""How often a key may call and how many calls it may have under way; and how much the node takes.

All of it in memory and in whole numbers: what is counted here bounds load, not money.  Money is the
lease's, reserved in the store.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from protocol.clock import MINUTE_MS
from protocol.key_set import ApiKeyFact
from protocol.refusal import Refusal

CALLS_MAX = 8_192
"""Calls under way on the node, over all keys."""

KEYS_REMEMBERED_MAX = 20_000


@dataclass(slots=True)
class Pace:
    """What a key has under way, and how much of its minute is left.

    credit  in parts of a call: one call takes MINUTE_MS, each millisecond returns the key's limit
    """

    under_way: int
    credit: int
    credited_at_ms: int


class Admission:
    """Lets calls in and counts them out again."""

    def __init__(self, calls_max: int = CALLS_MAX) -> None:
        self._calls_max = calls_max
        self._paces: dict[str, Pace] = {}
        self._under_way = 0

    @property
    def under_way(self) -> int:
        """Return how many calls are under way."""
        return self._under_way

    @contextmanager
    def admitted(self, key: ApiKeyFact, *, now_ms: int) -> Iterator[None]:
        """Hold a place for one call of `key`; refuse it when its limits or the node's are met.

        now_ms  of a clock that nobody sets, such as boottime
        """
        if self._under_way >= self._calls_max:
            raise _busy()
        pace = self._pace(key, now_ms)
        if pace.under_way >= key.concurrency:
            raise too_many(
                "concurrency_exceeded",
                f"This API key has {key.concurrency} calls under way, as many as it may.",
                retry_after_s=1,
            )
        if pace.credit < MINUTE_MS:
            wait_ms = -(-(MINUTE_MS - pace.credit) // key.requests_per_minute)
            raise too_many(
                "rate_limit_exceeded",
                f"This API key may make {key.requests_per_minute} calls a minute.",
                retry_after_s=max(1, -(-wait_ms // 1_000)),
            )
        pace.credit -= MINUTE_MS
        pace.under_way += 1
        self._under_way += 1
        try:
            yield
        finally:
            pace.under_way -= 1
            self._under_way -= 1

    def _pace(self, key: ApiKeyFact, now_ms: int) -> Pace:
        full = key.requests_per_minute * MINUTE_MS
        pace = self._paces.get(key.key_id)
        if pace is None:
            self._forget_idle()
            pace = Pace(under_way=0, credit=full, credited_at_ms=now_ms)
            self._paces[key.key_id] = pace
        passed_ms = max(0, now_ms - pace.credited_at_ms)
        pace.credit = min(full, pace.credit + passed_ms * key.requests_per_minute)
        pace.credited_at_ms = now_ms
        return pace

    def _forget_idle(self) -> None:
        """Drop the keys with nothing under way once too many are remembered."""
        if len(self._paces) >= KEYS_REMEMBERED_MAX:
            self._paces = {
                key_id: pace for key_id, pace in self._paces.items() if pace.under_way > 0
            }


def too_many(code: str, message: str, *, retry_after_s: int) -> Refusal:
    """Return the refusal of a key that asks too much at present."""
    return Refusal(
        code=code,
        status=429,
        message=message,
        hint="Wait as long as Retry-After says, or ask for a higher limit.",
        limit_source="key",
        retry_after_s=retry_after_s,
    )


def _busy() -> Refusal:
    return Refusal(
        code="node_busy",
        status=503,
        message="This node has as many calls under way as it takes.",
        hint="Try again in a moment, or use another node.",
        retry_after_s=1,
    )

"""A call as it is metered: what is written before the backend hears of it, and what it came to."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from agent.gateway.price_list import ModelPrices, Tokens
from protocol.money import Micros

Outcome = Literal["answered", "refused", "client_gone", "backend_failed", "cut_off"]
Stream = tuple[str, str]
"""An API key's id and a model: whose usage is counted together."""


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call about to begin.

    worst  the most it can cost, set aside from a lease
    """

    call_id: str
    key_id: str
    tenant_id: str
    project_id: str
    model: str
    endpoint: str
    worst: Micros
    started_at_ms: int

    @property
    def stream(self) -> Stream:
        """Return what the call is counted under."""
        return self.key_id, self.model


@dataclass(frozen=True, slots=True)
class ClosedCall:
    """What a call came to."""

    call_id: str
    stream: Stream
    tokens: Tokens
    micros: Micros
    finished_at_ms: int
    exact: bool
    outcome: Outcome
    backend: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a call under way has come to so far."""

    call_id: str
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """A call that was under way when the agent ended: its last checkpoint is what counts."""

    call_id: str
    stream: Stream
    tokens: Tokens


class Tally:
    """What each stream has come to, so that a call's cost is the growth of its stream."""

    def __init__(self, totals: dict[Stream, Tokens] | None = None) -> None:
        self._totals = dict(totals or {})

    def cost(self, stream: Stream, used: Tokens, prices: ModelPrices | None) -> Micros:
        """Count `used` in and return what it costs; nothing where there is no price any more."""
        before = self._totals.get(stream, Tokens())
        self._totals[stream] = before.plus(used)
        return prices.cost(before, used) if prices is not None else Micros(0)


class Figures:
    """What the gateway has done since it started, for the operator's graphs."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self.tokens_in: Counter[str] = Counter()
        self.tokens_out: Counter[str] = Counter()

    def count(self, model: str, closed: ClosedCall) -> None:
        """Count a call that is over."""
        self.calls[model, closed.outcome] += 1
        self.tokens_in[model] += closed.tokens.tokens_in
        self.tokens_out[model] += closed.tokens.tokens_out

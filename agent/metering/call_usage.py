"""Finished calls as usage records: one set per API key, model, lease and minute."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.usage_log.stream import StreamEnd, StreamKey
from protocol.clock import MINUTE_MS
from protocol.price import Price, price_at
from protocol.usage import REQUESTS, TOKENS_IN, TOKENS_OUT, Use

CALL_METERS = (TOKENS_IN, TOKENS_OUT, REQUESTS)


@dataclass(frozen=True, slots=True)
class FinishedCall:
    """A call that ended and stands in no record yet."""

    call_id: str
    key_id: str
    tenant_id: str
    project_id: str
    model: str
    lease_id: int
    finished_at_ms: int
    tokens_in: int
    tokens_out: int
    requests: int


@dataclass(frozen=True, slots=True)
class _Group:
    """What is counted together."""

    minute_ms: int
    key_id: str
    tenant_id: str
    project_id: str
    model: str
    lease_id: int


def call_usage(
    calls: Iterable[FinishedCall],
    streams: Mapping[StreamKey, StreamEnd],
    prices: Sequence[Price],
    *,
    now_ms: int,
) -> list[Use]:
    """Return the records of the calls, all of which ended before `now_ms`.

    What has no price is not sold, so it is not recorded: the registry could not rate it.
    A record lies within one minute and never ends before its stream did: a call that is written
    down late goes into the minute in which its stream ended.
    """
    sums: dict[_Group, dict[str, int]] = {}
    for call in calls:
        group = _Group(
            minute_ms=call.finished_at_ms - call.finished_at_ms % MINUTE_MS,
            key_id=call.key_id,
            tenant_id=call.tenant_id,
            project_id=call.project_id,
            model=call.model,
            lease_id=call.lease_id,
        )
        sum_ = sums.setdefault(group, dict.fromkeys(CALL_METERS, 0))
        sum_[TOKENS_IN] += call.tokens_in
        sum_[TOKENS_OUT] += call.tokens_out
        sum_[REQUESTS] += call.requests
    ends = dict(streams)
    uses = []
    for group, sum_ in sorted(sums.items(), key=lambda item: (item[0].minute_ms, item[0].lease_id)):
        for meter, quantity in sum_.items():
            use = _use(group, meter, quantity, ends, now_ms)
            if quantity and price_at(prices, sku=use.sku, meter=meter, at_ms=use.begin_ms):
                ends[StreamKey(group.key_id, meter, group.model)] = StreamEnd(
                    use.end_ms, use.cumulative
                )
                uses.append(use)
    return uses


def _use(
    group: _Group, meter: str, quantity: int, ends: Mapping[StreamKey, StreamEnd], now_ms: int
) -> Use:
    before = ends.get(StreamKey(group.key_id, meter, group.model), StreamEnd(0, 0))
    begin_ms, end_ms = group.minute_ms, min(group.minute_ms + MINUTE_MS, now_ms)
    if end_ms < before.last_end_ms:
        end_ms = before.last_end_ms
        begin_ms = (end_ms - 1) - (end_ms - 1) % MINUTE_MS
    return Use(
        allocation_id=group.key_id,
        tenant_id=group.tenant_id,
        project_id=group.project_id,
        sku=group.model,
        meter=meter,
        lease_id=group.lease_id,
        begin_ms=begin_ms,
        end_ms=end_ms,
        quantity=quantity,
        cumulative=before.cumulative + quantity,
    )

"""Finished calls as usage records: one set per API key, model, lease and minute."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.usage_log.stream import StreamEnd, StreamKey
from protocol.call_row import CallRow, rows_root
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


@dataclass(frozen=True, slots=True)
class CallUsage:
    """Records of calls, and for each call which of them has the root over its row, if any."""

    uses: list[Use]
    bound: dict[str, int]


def call_row(call: FinishedCall) -> CallRow:
    """Return the row of a call under its record."""
    return CallRow(
        call_id=call.call_id,
        key_id=call.key_id,
        model=call.model,
        lease_id=call.lease_id,
        finished_at_ms=call.finished_at_ms,
        tokens_in=call.tokens_in,
        tokens_out=call.tokens_out,
        requests=call.requests,
    )


def call_usage(
    calls: Iterable[FinishedCall],
    streams: Mapping[StreamKey, StreamEnd],
    prices: Sequence[Price],
    *,
    now_ms: int,
) -> CallUsage:
    """Return the records of the calls, all of which ended before `now_ms`, in order of their end.

    The first record of those that count the same calls carries the root over their rows.

    What has no price is not sold, so it is not recorded: the registry could not rate it.
    A record lies within one minute and never ends before its stream did: a call that is written
    down late goes into the minute in which its stream ended.
    """
    sums: dict[_Group, dict[str, int]] = {}
    rows: dict[_Group, list[CallRow]] = {}
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
        rows.setdefault(group, []).append(call_row(call))
    ends = dict(streams)
    uses: list[Use] = []
    bound: dict[str, int] = {}
    for group, sum_ in sorted(sums.items(), key=lambda item: (item[0].minute_ms, item[0].lease_id)):
        first = len(uses)
        for meter, quantity in sum_.items():
            use = _use(group, meter, quantity, ends, now_ms)
            if quantity and price_at(prices, sku=use.sku, meter=meter, at_ms=use.begin_ms):
                ends[StreamKey(group.key_id, meter, group.model)] = StreamEnd(
                    use.end_ms, use.cumulative
                )
                uses.append(use)
        if len(uses) > first:
            uses[first] = replace(uses[first], rows_root=rows_root(rows[group]))
            bound |= {row.call_id: first for row in rows[group]}
    return CallUsage(uses, bound)


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

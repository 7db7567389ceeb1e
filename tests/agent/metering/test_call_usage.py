"""Calls into records: every token once, per key, model, lease and minute."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from agent.metering.call_usage import CALL_METERS, FinishedCall, call_usage
from agent.usage_log.stream import StreamEnd, StreamKey, advanced
from protocol.clock import MINUTE_MS
from protocol.price import Price
from protocol.usage import entry_bytes, read_entry

NOW_MS = 1_795_172_400_000
PRICES = [
    Price(sku=model, meter=meter, version=1, num=1, den=1, effective_at_ms=0)
    for model in ("demo-echo", "llama", "m")
    for meter in CALL_METERS
]

calls = st.builds(
    FinishedCall,
    call_id=st.uuids().map(str),
    key_id=st.sampled_from(["k_1", "k_2"]),
    tenant_id=st.just("t_1"),
    project_id=st.just("p_1"),
    model=st.sampled_from(["demo-echo", "llama"]),
    lease_id=st.integers(1, 3),
    finished_at_ms=st.integers(NOW_MS - 5 * MINUTE_MS, NOW_MS - 1),
    tokens_in=st.integers(0, 500),
    tokens_out=st.integers(0, 500),
    requests=st.integers(0, 1),
)


@given(st.lists(st.lists(calls, max_size=8), max_size=4))
def test_every_token_is_recorded_once_and_every_stream_continues(
    ticks: list[list[FinishedCall]],
) -> None:
    streams: dict[StreamKey, StreamEnd] = {}
    recorded: Counter[tuple[str, str, int, str]] = Counter()
    for at, finished in enumerate(ticks):
        owners = {call.key_id for call in finished}
        known = {key: end for key, end in streams.items() if key.owner in owners}
        uses = call_usage(finished, known, PRICES, now_ms=NOW_MS + at * 7_000).uses
        streams |= advanced(streams, uses)
        for use in uses:
            assert read_entry(entry_bytes(use)) == use
            assert use.begin_ms // MINUTE_MS == (use.end_ms - 1) // MINUTE_MS
            recorded[use.allocation_id, use.sku, use.lease_id, use.meter] += use.quantity

    expected: Counter[tuple[str, str, int, str]] = Counter()
    for call in (call for finished in ticks for call in finished):
        amounts = (call.tokens_in, call.tokens_out, call.requests)
        for meter, amount in zip(CALL_METERS, amounts, strict=True):
            expected[call.key_id, call.model, call.lease_id, meter] += amount
    assert +recorded == +expected


def test_a_late_call_goes_into_the_minute_in_which_its_stream_ended() -> None:
    late = FinishedCall("c", "k", "t", "p", "m", 1, NOW_MS - 2 * MINUTE_MS, 5, 0, 0)
    key = StreamKey("k", "tok.in", "m")

    (use,) = call_usage([late], {key: StreamEnd(NOW_MS, 10)}, PRICES, now_ms=NOW_MS + 5).uses

    assert (use.begin_ms, use.end_ms) == (NOW_MS - MINUTE_MS, NOW_MS)
    assert use.cumulative == 15


def test_what_has_no_price_is_not_recorded() -> None:
    call = FinishedCall("c", "k", "t", "p", "m", 1, NOW_MS - 5, 5, 7, 1)
    priced = [price for price in PRICES if price.meter == "tok.out"]

    (use,) = call_usage([call], {}, priced, now_ms=NOW_MS).uses

    assert (use.meter, use.quantity) == ("tok.out", 7)

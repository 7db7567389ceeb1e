"""A batch is read as its entries are, one by one; and refused as they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.refusal import LogRefused
from protocol.usage import COUNT_MAX, METERS, Entry, Heartbeat, Use, entry_bytes, read_entry
from registry.usage.entries import entries_between, read_entries
from tests.registry.recording import START_MS, closed, lease_closed, opened, tokens

texts = st.text("abcXYZ019_.-: /", min_size=1, max_size=64)
uses = st.builds(
    lambda begin, width, quantity, before, meter, owner, tenant: Use(
        owner, tenant, "p_1", "h200.1x", meter, 7, begin, begin + width, quantity,
        quantity + before,
    ),
    begin=st.integers(0, 10**6).map(lambda at: at * 300_000),
    width=st.integers(1, 300_000),
    quantity=st.integers(0, COUNT_MAX),
    before=st.integers(0, 2**52 - 1),
    meter=st.sampled_from(sorted(METERS)),
    owner=texts,
    tenant=texts,
)  # fmt: skip
others = st.sampled_from(
    [
        opened("a_1", "GPU-1"),
        closed(at_ms=START_MS),
        lease_closed(7),
        Heartbeat(at_ms=START_MS, boottime_ms=5, skew_ms=-2),
    ]
)
TRUE = entry_bytes(tokens(5, before=2, lease_id=1))


@given(st.lists(uses | others, max_size=30))
def test_a_batch_reads_as_its_entries_do(entries: list[Entry]) -> None:
    raw = [entry_bytes(entry) for entry in entries]

    assert entries_between(read_entries(raw, first_index=0), 0, len(raw)) == entries


@given(
    at=st.integers(0, len(TRUE)),
    cut=st.integers(0, 3),
    put=st.text(max_size=3) | st.sampled_from(['"', ",", "-1", "\n", "9" * 16, "}", " ", "é"]),
)
def test_what_one_entry_refuses_the_batch_refuses_by_the_same_name(
    at: int, cut: int, put: str
) -> None:
    damaged = TRUE[:at] + put.encode() + TRUE[at + cut :]

    assert _outcome_of_batch(damaged) == _outcome_alone(damaged)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (('"q":5', '"q":-5'), "entry_negative"),
        (('"q":5', '"q":05'), "entry_not_canonical"),
        (('"q":5', '"q":5.0'), "entry_not_canonical"),
        (('"q":5', '"q": 5'), "entry_not_canonical"),
        (('"q":5', '"q":8'), "cumulative_wrong"),
        (('"cum":7', '"cum":9007199254740992'), "entry_out_of_range"),
        (('"m":"tok.in"', '"m":"tok.up"'), "meter_unknown"),
        (('"v":1', '"v":2'), "entry_unknown_version"),
        (('"k":"use"', '"k":"usd"'), "entry_unknown_kind"),
        (('"ten":"t_1"', '"ten":"té1"'), "entry_not_canonical"),
        (('"ten":"t_1"', '"ten":"t\n1"'), "entry_not_canonical"),
        ((f'"t1":{START_MS + 60_000}', f'"t1":{START_MS}'), "interval_wrong"),
        ((f'"t1":{START_MS + 60_000}', f'"t1":{START_MS + 300_001}'), "interval_wrong"),
        ((f'"t0":{START_MS}', f'"t0":{START_MS - 1}'), "interval_over_hour"),
        (('"v":1}', '"v":1,"w":1}'), "entry_malformed"),
    ],
)
def test_each_bad_value_has_its_name(change: tuple[str, str], code: str) -> None:
    damaged = TRUE.replace(change[0].encode(), change[1].encode())
    assert damaged != TRUE

    with pytest.raises(LogRefused) as refused:
        read_entries([TRUE, damaged], first_index=40)

    assert (refused.value.code, refused.value.index) == (code, 41)


def _outcome_of_batch(raw: bytes) -> object:
    try:
        return entries_between(read_entries([TRUE, raw], first_index=0), 1, 2)[0]
    except LogRefused as refused:
        return refused.code


def _outcome_alone(raw: bytes) -> object:
    try:
        return read_entry(raw)
    except LogRefused as refused:
        return refused.code

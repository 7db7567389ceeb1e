"""Packed and unpacked again, entries are the same bytes; and nothing else can be unpacked."""

import random
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.packing import (
    ENTRIES_MAX,
    PackedEntries,
    Run,
    joined,
    packed_entries,
    part,
    unpacked_entries,
)
from protocol.refusal import LogRefused
from protocol.usage import Heartbeat, Use, entry_bytes, read_entry
from protocol.wire import decode, encode, pack

HOUR_MS = 3_600_000
texts = st.text("abXY09_.-:%/ ", min_size=1, max_size=12)
near = st.integers(0, 3)
uses = st.builds(
    lambda owner, lease, begin, width, quantity, before, root: Use(
        owner, "t_1", "p_1", "s", "tok.in" if root else "gpu.ms", lease, begin, begin + width,
        quantity, quantity + before, root,
    ),
    owner=st.sampled_from(["a_1", "a%d", "k 2"]),
    lease=near,
    begin=near,
    width=st.integers(1, 4),
    quantity=near,
    before=near | st.integers(0, 2**53 - 8),
    root=st.sampled_from(["", "A" * 43 + "="]),
)  # fmt: skip
entries = st.lists(
    uses.map(entry_bytes)
    | st.builds(Heartbeat, near, near, near).map(entry_bytes)
    | st.binary(min_size=1, max_size=80)
    | texts.map(lambda text: text.encode()),
    max_size=40,
)


@given(entries)
def test_whatever_is_packed_comes_back(raw: list[bytes]) -> None:
    packed = packed_entries(raw)

    assert unpacked_entries(packed).entries == raw
    assert unpacked_entries(decode(encode(packed), PackedEntries)).entries == raw


@given(entries, st.data())
def test_a_part_is_the_part_packed(raw: list[bytes], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), min_size=2, max_size=4)))
    packed = packed_entries(raw)

    parts = [part(packed, *edges) for edges in pairwise(cuts)]

    whole = joined([unpacked_entries(one) for one in parts])
    assert whole.entries == raw[cuts[0] : cuts[-1]]
    for records in whole.records:
        for place, total in zip(records.places, records.cumulatives, strict=True):
            use = read_entry(whole.entries[place])
            assert isinstance(use, Use)
            assert (use.cumulative, use.allocation_id) == (total, records.run.allocation_id)


@given(entries)
def test_the_columns_say_what_the_bytes_say(raw: list[bytes]) -> None:
    unpacked = unpacked_entries(packed_entries(raw))

    seen = set(unpacked.others)
    for records in unpacked.records:
        for at, place in enumerate(records.places):
            use = read_entry(raw[place])
            assert isinstance(use, Use)
            assert use.begin_ms == records.begins[at]
            assert use.end_ms == records.ends[at]
            assert use.quantity == records.quantities[at]
            assert use.cumulative == records.cumulatives[at]
        seen |= set(records.places)
    assert seen == set(range(len(raw)))


@settings(max_examples=200)
@given(st.integers(0, 2**32))
def test_what_was_packed_by_nobody_is_refused_or_whole(seed: int) -> None:
    chance = random.Random(seed)
    raw = [entry_bytes(_minute(owner, at)) for at in range(4) for owner in ("a_1", "a_2")]
    plain = msgspec.to_builtins(packed_entries([*raw, b"x"]))
    run = chance.choice(plain["runs"])
    name = chance.choice(["places", "pauses", "widths", "quantities", "before", "begin_ms", "sku"])
    if isinstance(run[name], list):
        at = chance.randrange(len(run[name]))
        run[name][at : at + chance.randrange(2)] = [chance.choice([-1, 0, 1, 7, 2**53, 2**70])]
    else:
        run[name] = chance.choice(["", '"', "\n", "é", 'a"b']) if name == "sku" else 2**53 - 1

    try:
        unpacked = unpacked_entries(msgspec.convert(plain, PackedEntries))
    except (LogRefused, msgspec.ValidationError):
        return
    assert len(unpacked.entries) == 9
    assert all(unpacked.entries)


@pytest.mark.parametrize(
    "packed",
    [
        PackedEntries(2, [], [(0, b"x")]),
        PackedEntries(1, [], [(1, b"x")]),
        PackedEntries(2, [], [(0, b"x"), (0, b"y")]),
        PackedEntries(1, [], [(0, b"")]),
        PackedEntries(1, [], [(0, b"x"), (0, b"y")]),
    ],
)
def test_each_place_is_taken_once(packed: PackedEntries) -> None:
    with pytest.raises(LogRefused, match="batch_malformed"):
        unpacked_entries(packed)


def test_no_text_ends_its_field_early() -> None:
    (run,) = packed_entries([entry_bytes(_minute("a_1", 0))]).runs

    for name in ('a","cum":1,"k":"use', "a\\", "é", "\x7f", "a\n"):
        forged = msgspec.structs.replace(run, sku=name)
        with pytest.raises(LogRefused, match="entry_not_canonical"):
            unpacked_entries(PackedEntries(1, [forged], []))


def test_a_batch_of_regular_records_takes_few_bytes() -> None:
    raw = [entry_bytes(_minute(f"a_{owner}", at)) for at in range(128) for owner in range(32)]
    assert len(raw) == ENTRIES_MAX

    assert len(pack(packed_entries(raw))) < 2 * len(raw)


def test_a_run_shares_what_its_records_share() -> None:
    packed = packed_entries([entry_bytes(_minute("a_1", at)) for at in range(3)])

    assert packed == PackedEntries(
        3,
        [
            Run(
                *("a_1", "t_1", "p_1", "s", "gpu.ms", 7),
                before=0,
                begin_ms=0,
                places=[0, 1, 1],
                pauses=[0, 0, 0],
                widths=[60_000] * 3,
                quantities=[60_000] * 3,
            )
        ],
        [],
    )


def _minute(owner: str, at: int) -> Use:
    begin_ms = at * 60_000
    return Use(
        owner, "t_1", "p_1", "s", "gpu.ms", 7, begin_ms, begin_ms + 60_000, 60_000,
        60_000 * (at + 1),
    )  # fmt: skip

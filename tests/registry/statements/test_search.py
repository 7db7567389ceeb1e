"""The records at both ends of a line are found wherever in the log they were written."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.price import Price
from registry.statements.search import BLOCK_ENTRIES, Ends, RecordMissing, find_ends
from registry.statements.segments import Segment, StreamName

HOUR_MS = 3_600_000
PRICE = Price("s", "m", 1, 1, 1, 0)


def segment(owner: str, before: int, after: int, hour_ms: int = 0) -> Segment:
    stream = StreamName("n", 0, owner, "m", "s")
    return Segment(stream, "p", PRICE, hour_ms, hour_ms, before, after, 0)


def log_of(steps: Sequence[tuple[int, int, int]]) -> list[bytes]:
    """Entries of owners that count on: (owner, quantity, time)."""
    counts: dict[int, int] = {}
    entries = []
    for owner, quantity, at_ms in steps:
        counts[owner] = counts.get(owner, 0) + quantity
        record = {
            "alc": f"a{owner}", "cum": counts[owner], "k": "use", "m": "m", "q": quantity,
            "sku": "s", "t0": at_ms, "t1": at_ms + 1,
        }  # fmt: skip
        entries.append(json.dumps(record).encode())
    return entries


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 10**6)),
        min_size=1,
        max_size=1_500,
    ),
    st.data(),
)
def test_a_line_is_found_whatever_the_times_say(
    steps: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    entries = log_of(steps)
    counting = [json.loads(entry) | {"at": at} for at, entry in enumerate(entries)]
    counting = [record for record in counting if record["q"]]
    if not counting:
        return
    begin = data.draw(st.sampled_from(counting))
    ends = [one for one in counting if one["alc"] == begin["alc"] and one["at"] >= begin["at"]]
    end = data.draw(st.sampled_from(ends))

    found = find_ends(
        [segment(begin["alc"], begin["cum"] - begin["q"], end["cum"], begin["t0"])],
        size=len(entries),
        block=lambda number: entries[number * BLOCK_ENTRIES : (number + 1) * BLOCK_ENTRIES],
    )

    assert found == [Ends(begin["at"], end["at"])]


def test_in_a_log_in_order_of_time_few_blocks_are_read() -> None:
    entries = log_of([(0, 1, at * 60_000) for at in range(100_000)])
    read = []

    def block(number: int) -> Sequence[bytes]:
        read.append(number)
        return entries[number * BLOCK_ENTRIES : (number + 1) * BLOCK_ENTRIES]

    found = find_ends(
        [segment("a0", 60_000, 60_060, 60_000 * 60_000)], size=len(entries), block=block
    )

    assert found == [Ends(60_000, 60_059)]
    assert len(read) <= 14


def test_a_record_that_is_not_there_is_said_to_be_missing() -> None:
    entries = log_of([(0, 5, 0), (1, 5, 0)])

    with pytest.raises(RecordMissing):
        find_ends([segment("a0", 0, 6)], size=2, block=lambda _: entries)

"""Whatever a node records, no GPU is sold twice and none for longer than there was (I9, I10)."""

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.log_events import Gap
from protocol.refusal import LogRefused
from protocol.usage import Closed, Entry, Opened, Use, entry_bytes
from registry.rating.price_book import PriceBook
from registry.usage.acceptance import accept
from registry.usage.entries import read_entries
from registry.usage.log_state import LeaseStanding, OwnerFact, Standing
from registry.usage.tally import Tally
from tests.registry.recording import PRICES, START_MS

SPAN_MS = 600_000
GPUS = ("GPU-1", "GPU-2", "MIG-1a", "MIG-1b")
"""A slice of a GPU is an accelerator of its own, with its own name."""

OWNERS = {
    "a_1": OwnerFact("t_1", "p_1", "h200.1x", 1),
    "a_2": OwnerFact("t_1", "p_1", "h200.2x", 2),
    "a_3": OwnerFact("t_1", "p_1", "h200.1x", 1),
}
moments = st.integers(0, 10).map(lambda at: START_MS + at * 60_000)


steps = st.one_of(
    st.tuples(
        st.just("open"),
        st.sampled_from(sorted(OWNERS)),
        moments,
        st.lists(st.sampled_from(GPUS), max_size=2, unique=True),
    ),
    st.tuples(st.just("use"), st.sampled_from(sorted(OWNERS)), moments, moments, st.integers(0, 3)),
    st.tuples(st.just("gap"), st.sampled_from(sorted(OWNERS)), moments, moments),
    st.tuples(st.just("close"), st.sampled_from(sorted(OWNERS)), moments),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=30))
def test_accepted_usage_of_a_gpu_never_exceeds_the_time_it_was_held_by_one(
    wanted: list[tuple[object, ...]],
) -> None:
    standing = Standing(
        owners=OWNERS,
        leases={1: LeaseStanding("t_1", "n_1", amount=10**12, settled=0, state="open")},
    )
    taken: list[Entry] = []
    for step in wanted:
        entry = _entry(step, standing)
        if entry is None:
            continue
        tried = copy.deepcopy(standing)
        try:
            _accept(entry, tried, index=len(taken))
        except LogRefused:
            continue
        standing = tried
        taken.append(entry)

    _check_holders(taken)
    _check_time(taken)


def _check_holders(taken: list[Entry]) -> None:
    """Nobody opens what another holds, and an opening never begins before the last one's end."""
    holder: dict[str, str] = {}
    free_since: dict[str, int] = {}
    held: dict[str, tuple[str, ...]] = {}
    for entry in taken:
        match entry:
            case Opened():
                for uuid in entry.accelerators:
                    assert uuid not in holder
                    assert entry.at_ms >= free_since.get(uuid, 0)
                    holder[uuid] = entry.allocation_id
                held[entry.allocation_id] = entry.accelerators
            case Closed():
                for uuid in held.pop(entry.allocation_id):
                    assert holder.pop(uuid) == entry.allocation_id
                    free_since[uuid] = entry.at_ms


def _check_time(taken: list[Entry]) -> None:
    """What an allocation counts in one opening is at most its GPUs times the time it held them."""
    counted: dict[str, int] = {}
    opened: dict[str, Opened] = {}
    last_ms: dict[str, int] = {}
    for entry in taken:
        match entry:
            case Opened():
                opened[entry.allocation_id], counted[entry.allocation_id] = entry, 0
                last_ms[entry.allocation_id] = entry.at_ms
            case Use():
                counted[entry.allocation_id] += entry.quantity
                last_ms[entry.allocation_id] = max(last_ms[entry.allocation_id], entry.end_ms)
            case Gap():
                last_ms[entry.allocation_id] = max(last_ms[entry.allocation_id], entry.end_ms)
        for name, count in counted.items():
            held_ms = last_ms[name] - opened[name].at_ms
            assert count <= held_ms * len(opened[name].accelerators)


def _entry(step: tuple[object, ...], standing: Standing) -> Entry | None:
    """What a node would write for a step, honest in its totals and in nothing else."""
    kind, name, *rest = step
    assert isinstance(name, str)
    owner = OWNERS[name]
    assert owner.sku is not None
    if kind == "open":
        at_ms, uuids = rest
        return Opened(name, "t_1", "p_1", owner.sku, at_ms, "boot", "c", tuple(uuids))  # type: ignore[arg-type]
    if kind == "close":
        return Closed(name, rest[0], "release")  # type: ignore[arg-type]
    begin_ms, end_ms = sorted(rest[:2])  # type: ignore[type-var]
    if begin_ms == end_ms or end_ms - begin_ms > 300_000:  # type: ignore[operator]
        return None
    if kind == "gap":
        return Gap(name, begin_ms, end_ms, "disk_full")  # type: ignore[arg-type]
    stream = standing.streams.get((name, "gpu.ms", owner.sku))
    quantity = (end_ms - begin_ms) * rest[2]  # type: ignore[operator]
    total = (stream.cumulative if stream else 0) + quantity
    return Use(name, "t_1", "p_1", owner.sku, "gpu.ms", 1, begin_ms, end_ms, quantity, total)  # type: ignore[arg-type]


def _accept(entry: Entry, standing: Standing, *, index: int) -> None:
    tally = Tally(PriceBook(PRICES), site_id="s_1", share_basis_points=7_000)
    accept(
        read_entries([entry_bytes(entry)], first_index=index),
        node_id="n_1",
        standing=standing,
        tally=tally,
        now_ms=START_MS + SPAN_MS,
    )

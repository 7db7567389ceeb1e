"""By the column or record by record, a batch comes to the same, whatever is wrong in it."""

import random
from copy import deepcopy
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.refusal import LogRefused
from protocol.usage import GPU_MS, Entry, Heartbeat, Use, entry_bytes
from registry.rating.price_book import PriceBook
from registry.usage.acceptance import AHEAD_MS_MAX, accept
from registry.usage.entries import read_entries
from registry.usage.log_state import LeaseStanding, Standing
from registry.usage.tally import Tally
from tests.registry.recording import (
    NOW_MS,
    OWNERS,
    PRICES,
    START_MS,
    closed,
    lease_closed,
    opened,
    time_use,
    tokens,
)

MINUTE_MS = 60_000
LEASES = (1, 3)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_both_ways_come_to_the_same(seed: int) -> None:
    chance = random.Random(seed)
    entries = _life(chance)
    cut = chance.randrange(len(entries))
    standing = Standing(owners=dict(OWNERS), leases=_leases(chance))
    owner = OWNERS["a_1"]
    if chance.random() < 0.3:
        released_ms = START_MS + chance.randrange(60) * MINUTE_MS + chance.randrange(2)
        standing.owners = {**OWNERS, "a_1": replace(owner, released_at_ms=released_ms)}
    raw = [entry_bytes(entry) for entry in entries]
    assert not isinstance(_outcome(raw[:cut], 0, standing, by_column=False), tuple)
    rest = _spoiled(chance, entries[cut:])

    ways = [
        _outcome([entry_bytes(one) for one in rest], cut, deepcopy(standing), by_column=by_column)
        for by_column in (True, False)
    ]

    assert ways[0] == ways[1]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_a_regular_batch_in_any_pieces_comes_to_the_same(seed: int) -> None:
    chance = random.Random(seed)
    raw = [entry_bytes(entry) for entry in _life(chance)]
    whole = Standing(owners=dict(OWNERS), leases=_leases(random.Random(seed)))
    pieces = deepcopy(whole)

    _outcome(raw, 0, whole, by_column=True)
    at = 0
    while at < len(raw):
        end = at + chance.randrange(1, 40)
        _outcome(raw[at:end], at, pieces, by_column=True)
        at = end

    assert pieces == whole


def _outcome(raw: list[bytes], first_index: int, standing: Standing, *, by_column: bool) -> object:
    """What a batch comes to: a list of what moved, or the code and index of its refusal."""
    tally = Tally(PriceBook(PRICES), site_id="s_1", share_basis_points=7_000)
    try:
        accepted = accept(
            read_entries(raw, first_index=first_index),
            node_id="n_1",
            standing=standing,
            tally=tally,
            now_ms=NOW_MS,
            by_column=by_column,
        )
    except LogRefused as refused:
        return refused.code, refused.index
    return [accepted, standing, tally.hours, tally.tenants, tally.settled]


def _leases(chance: random.Random) -> dict[int, LeaseStanding]:
    return {
        at: LeaseStanding("t_1", "n_1", chance.choice([10**9, 40_000]), 0, "open") for at in LEASES
    }


def _life(chance: random.Random) -> list[Entry]:
    """What a node records in an hour and more: time, tokens, signs of life, leases that change."""
    entries: list[Entry] = [opened("a_1", "GPU-1")]
    counts = {GPU_MS: 0, "tok.in": 0, "tok.out": 0}
    lease = 1
    for at in range(chance.randrange(5, 60)):
        begin_ms = START_MS + at * MINUTE_MS
        whole = time_use(begin_ms, begin_ms + MINUTE_MS, before=0, lease_id=lease)
        held_ms = chance.randrange(MINUTE_MS)
        counts[GPU_MS] += held_ms
        entries.append(replace(whole, quantity=held_ms, cumulative=counts[GPU_MS]))
        for meter in ("tok.in", "tok.out"):
            for lease_id in LEASES if chance.random() < 0.1 else (lease,):
                quantity = chance.randrange(5_000)
                entries.append(
                    tokens(
                        quantity, before=counts[meter], lease_id=lease_id, meter=meter,
                        at_ms=begin_ms,
                    )
                )  # fmt: skip
                counts[meter] += quantity
        if chance.random() < 0.1:
            entries.append(Heartbeat(at_ms=begin_ms, boottime_ms=1, skew_ms=0))
        if chance.random() < 0.05:
            entries.append(lease_closed(lease, at_ms=begin_ms))
        if chance.random() < 0.05:
            lease = chance.choice(LEASES)
    return entries


def _spoiled(chance: random.Random, entries: list[Entry]) -> list[Entry]:
    """The same, with something wrong in it three times out of four."""
    spoiled = list(entries)
    at = chance.randrange(len(spoiled))
    match chance.randrange(4):
        case 0:
            return spoiled
        case 1:
            del spoiled[at]
        case 2:
            other = chance.randrange(len(spoiled))
            spoiled[at], spoiled[other] = spoiled[other], spoiled[at]
        case 3:
            spoiled[at] = _wrong(chance, spoiled[at])
    return spoiled


def _wrong(chance: random.Random, entry: Entry) -> Entry:
    if isinstance(entry, Heartbeat):
        return replace(entry, at_ms=NOW_MS + AHEAD_MS_MAX + 1)
    if not isinstance(entry, Use):
        return closed("a_2", at_ms=START_MS)
    late_ms = 2 * 60 * MINUTE_MS
    match chance.randrange(10):
        case 0:
            return replace(entry, quantity=entry.quantity // 2)
        case 1:
            return replace(entry, cumulative=entry.cumulative + 1)
        case 2:
            return replace(entry, tenant_id="t_2")
        case 3:
            return replace(entry, lease_id=9)
        case 4:
            return replace(entry, begin_ms=entry.begin_ms + 1)
        case 5:
            return replace(entry, allocation_id="a_9")
        case 6:
            return replace(entry, sku="h200.2x" if entry.meter == GPU_MS else "unpriced")
        case 7:
            return replace(entry, begin_ms=entry.begin_ms + late_ms, end_ms=entry.end_ms + late_ms)
        case 8:
            return replace(entry, begin_ms=entry.begin_ms - 1)
        case _:
            return replace(entry, end_ms=entry.end_ms + 240_001)

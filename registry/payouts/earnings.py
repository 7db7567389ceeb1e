"""Charges into a site's share: the same telescoping by which shares are posted.

A stream's share of a time is the difference of two floors over what it was charged up to its end
and up to its begin, so that days add up to their month and months to what was posted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from protocol.usage import GPU_MS
from registry.ledger.postings import BASIS_POINTS

ENERGY_MJ = "en.mj"
MJ_PER_WH = 3_600_000


@dataclass(frozen=True, slots=True, order=True)
class StreamKey:
    """A stream; `owner_id` tells two of them apart and is shown to nobody."""

    node_id: str
    epoch: int
    owner_id: str
    meter: str
    sku: str


@dataclass(frozen=True, slots=True)
class StreamDay:
    """What a stream came to in one step of time, a day or an hour."""

    key: StreamKey
    at_ms: int
    quantity: int
    charged: int


@dataclass(frozen=True, slots=True)
class Earning:
    """What one node earned with one SKU by one meter in one step of time."""

    at_ms: int
    node_id: str
    sku: str
    meter: str
    quantity: int
    charged: int
    share: int


@dataclass(frozen=True, slots=True)
class Sums:
    """What earnings come to."""

    gpu_ms: int
    energy_wh: int
    charged: int
    share: int


def earnings(
    days: Iterable[StreamDay], before: Mapping[StreamKey, int], *, basis_points: int
) -> list[Earning]:
    """Return what was earned by step, node, SKU and meter; owners are summed away.

    days    oldest first
    before  what was charged to each stream before the first of them
    """
    charged_to = dict(before)
    sums: dict[tuple[int, str, str, str], list[int]] = {}
    for day in days:
        begin = charged_to.get(day.key, 0)
        end = charged_to[day.key] = begin + day.charged
        share = end * basis_points // BASIS_POINTS - begin * basis_points // BASIS_POINTS
        found = sums.setdefault((day.at_ms, day.key.node_id, day.key.sku, day.key.meter), [0, 0, 0])
        found[0] += day.quantity
        found[1] += day.charged
        found[2] += share
    return [Earning(*key, *found) for key, found in sorted(sums.items())]


def summed(found: Iterable[Earning]) -> Sums:
    """Return what earnings come to together."""
    gpu_ms = energy_mj = charged = share = 0
    for one in found:
        gpu_ms += one.quantity if one.meter == GPU_MS else 0
        energy_mj += one.quantity if one.meter == ENERGY_MJ else 0
        charged += one.charged
        share += one.share
    return Sums(gpu_ms=gpu_ms, energy_wh=energy_mj // MJ_PER_WH, charged=charged, share=share)


def sold_percent(gpu_ms: int, *, offered_ms: int) -> int | None:
    """Return how much of what could be sold was sold; None where nothing could be."""
    return None if offered_ms <= 0 else gpu_ms * 100 // offered_ms


def forecast(share: int, *, begin_ms: int, end_ms: int, now_ms: int) -> int | None:
    """Return what a share comes to by the end of its time at the pace so far; None without one."""
    passed_ms = min(now_ms, end_ms) - begin_ms
    if passed_ms <= 0 or now_ms >= end_ms:
        return None
    return share * (end_ms - begin_ms) // passed_ms

"""What a node should hear: which signed documents are due, and when it should call again."""

from collections.abc import Iterable

from protocol import desired, key_set
from protocol.clock import DAY_MS
from protocol.desired import DesiredAllocation, DesiredState
from protocol.key_set import ApiKeyFact, KeySet
from protocol.price import Price
from protocol.signing import Envelope, SigningKey, seal
from protocol.sync import SYNC_INTERVAL_BUSY_MS, SYNC_INTERVAL_MS

KEY_SET_LIFE_MS = DAY_MS
"""How long a node may honour a key set it cannot refresh (design: a policy, 24 h by default)."""

UNSETTLED_PHASES = frozenset({"pulling", "starting", "probing", "stopping"})


def desired_due(held_generation: int, generation: int) -> bool:
    """Whether the node must be told again what to run.  A node never holds more than it was told;
    one that does was told by a registry that has since been restored, and is told afresh."""
    return held_generation != generation


def sealed_desired(
    node_id: str,
    *,
    generation: int,
    allocations: Iterable[DesiredAllocation],
    prices: Iterable[Price],
    key: SigningKey,
) -> Envelope:
    """Return the desired state of a node, signed."""
    state = DesiredState(
        node_id=node_id,
        generation=generation,
        allocations=tuple(allocations),
        prices=tuple(prices),
    )
    return seal(state, purpose=desired.PURPOSE, key=key)


def key_set_due(*, held_version: int, version: int, sealed_at_ms: int | None, now_ms: int) -> bool:
    """Whether the node needs a key set: a newer one, or the same before half its life is over.

    sealed_at_ms  when the set it holds was signed, None if unknown
    """
    if held_version != version or sealed_at_ms is None:
        return True
    return now_ms - sealed_at_ms > KEY_SET_LIFE_MS // 2


def sealed_key_set(
    node_id: str,
    *,
    version: int,
    keys: Iterable[ApiKeyFact],
    now_ms: int,
    key: SigningKey,
) -> Envelope:
    """Return the key set of a node, signed."""
    key_set_ = KeySet(
        node_id=node_id,
        version=version,
        issued_at_ms=now_ms,
        stale_at_ms=now_ms + KEY_SET_LIFE_MS,
        keys=tuple(keys),
    )
    return seal(key_set_, purpose=key_set.PURPOSE, key=key)


def next_interval_ms(phases: Iterable[str], *, settled: bool, quick_ms: int | None = None) -> int:
    """Return when the node should call again: soon while something is changing.

    settled   whether the node already holds what it was to be told
    quick_ms  a shorter interval from the configuration, for a demo
    """
    if quick_ms is not None:
        return quick_ms
    if not settled or any(phase in UNSETTLED_PHASES for phase in phases):
        return SYNC_INTERVAL_BUSY_MS
    return SYNC_INTERVAL_MS

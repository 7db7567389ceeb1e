"""What a node should hear, and when it should call again."""

import pytest

from protocol.desired import PURPOSE as DESIRED
from protocol.desired import DesiredState
from protocol.key_set import PURPOSE as KEY_SET
from protocol.key_set import KeySet
from protocol.refusal import SignatureRefused
from protocol.signing import key_id, new_signing_key, public_bytes, unseal
from protocol.sync import SYNC_INTERVAL_BUSY_MS, SYNC_INTERVAL_MS
from registry.sync.answer import (
    KEY_SET_LIFE_MS,
    desired_due,
    key_set_due,
    next_interval_ms,
    sealed_desired,
    sealed_key_set,
)

KEY = new_signing_key(bytes([7]) * 32)
TRUSTED = {key_id(public_bytes(KEY)): public_bytes(KEY)}
NOW_MS = 1_795_173_400_000


@pytest.mark.parametrize(("held", "is_due"), [(4, True), (5, False), (6, True), (0, True)])
def test_a_desired_state_is_due_unless_the_very_one_is_held(held: int, is_due: bool) -> None:
    assert desired_due(held, 5) is is_due


def test_a_key_set_is_due_when_newer_or_past_half_its_life() -> None:
    half = KEY_SET_LIFE_MS // 2

    def due(version: int, age_ms: int | None) -> bool:
        sealed_at_ms = None if age_ms is None else NOW_MS - age_ms
        return key_set_due(
            held_version=version, version=3, sealed_at_ms=sealed_at_ms, now_ms=NOW_MS
        )

    assert due(2, 0)
    assert due(3, None)
    assert not due(3, half)
    assert due(3, half + 1)


def test_documents_are_sealed_each_for_its_own_purpose() -> None:
    state = sealed_desired("n_1", generation=2, allocations=(), prices=(), key=KEY)
    keys = sealed_key_set("n_1", version=3, keys=(), now_ms=NOW_MS, key=KEY)

    assert unseal(state, DesiredState, purpose=DESIRED, trusted=TRUSTED).generation == 2
    assert unseal(keys, KeySet, purpose=KEY_SET, trusted=TRUSTED).stale_at_ms > NOW_MS
    with pytest.raises(SignatureRefused, match="wrong_purpose"):
        unseal(state, KeySet, purpose=KEY_SET, trusted=TRUSTED)


@pytest.mark.parametrize(
    ("phases", "settled", "interval_ms"),
    [
        ((), True, SYNC_INTERVAL_MS),
        (("running", "absent"), True, SYNC_INTERVAL_MS),
        (("running",), False, SYNC_INTERVAL_BUSY_MS),
        (("running", "pulling"), True, SYNC_INTERVAL_BUSY_MS),
        (("stopping",), True, SYNC_INTERVAL_BUSY_MS),
    ],
)
def test_a_node_calls_sooner_while_something_changes(
    phases: tuple[str, ...], settled: bool, interval_ms: int
) -> None:
    assert next_interval_ms(phases, settled=settled) == interval_ms
    assert next_interval_ms(phases, settled=settled, quick_ms=1_000) == 1_000

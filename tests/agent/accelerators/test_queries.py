"""Who holds which GPU, in the real database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.accelerators.queries import delete_claims, insert_claims, list_claims, list_uuids_of
from agent.store.thread import Store
from protocol.ids import AllocationId

FIRST = AllocationId("a_first")
SECOND = AllocationId("a_second")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "node.db") as store:
        yield store


def test_a_claim_stands_until_its_allocation_frees_it(store: Store) -> None:
    claimed = store.run_now(insert_claims, ["GPU-2", "GPU-1"], allocation_id=FIRST, since_ms=5)

    assert claimed
    assert store.run_now(list_claims) == {"GPU-1": FIRST, "GPU-2": FIRST}
    assert store.run_now(list_uuids_of, FIRST) == ["GPU-1", "GPU-2"]
    assert store.run_now(delete_claims, FIRST) == 2
    assert store.run_now(list_claims) == {}


def test_a_held_card_is_never_claimed_again_nor_are_those_asked_for_with_it(store: Store) -> None:
    store.run_now(insert_claims, ["GPU-1"], allocation_id=FIRST, since_ms=5)

    for holder in (FIRST, SECOND):
        uuids = ["GPU-0", "GPU-1", "GPU-2"]
        assert not store.run_now(insert_claims, uuids, allocation_id=holder, since_ms=6)

    assert store.run_now(list_claims) == {"GPU-1": FIRST}


def test_freeing_one_allocation_leaves_the_others(store: Store) -> None:
    store.run_now(insert_claims, ["GPU-1"], allocation_id=FIRST, since_ms=5)
    store.run_now(insert_claims, ["GPU-2"], allocation_id=SECOND, since_ms=5)

    assert store.run_now(delete_claims, FIRST) == 1
    assert store.run_now(list_claims) == {"GPU-2": SECOND}
    assert store.run_now(list_uuids_of, FIRST) == []


def test_an_allocation_without_gpus_claims_nothing(store: Store) -> None:
    assert store.run_now(insert_claims, [], allocation_id=FIRST, since_ms=5)
    assert store.run_now(list_claims) == {}

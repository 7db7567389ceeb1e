"""Whatever was charged can be proved with nobody's help."""

import pytest

from protocol.checkpoint import witness_name
from protocol.receipt import verify_receipt
from protocol.refusal import Refusal
from protocol.signing import public_bytes
from protocol.usage import Heartbeat
from registry.usage.operations import receipt_for
from tests.registry.recording import (
    DOMAIN,
    NODE_KEY,
    NOW_MS,
    REGISTRY_KEY,
    START_MS,
    desk,
    node_with_lease,
)
from tests.services.databases import Databases


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700])
def test_every_entry_has_a_receipt_that_verifies_alone(databases: Databases, size: int) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(*(Heartbeat(at_ms=START_MS, boottime_ms=at, skew_ms=0) for at in range(size)))
        for begin in range(0, size, 100):
            here.take(node.batch(begin, min(begin + 100, size)))

        for index in {0, size // 2, size - 1}:
            receipt = here.within(lambda db, at=index: receipt_for(db, "n_1", at))

            proved = verify_receipt(
                receipt,
                node_key=public_bytes(NODE_KEY),
                witness=witness_name(DOMAIN),
                witness_key=public_bytes(REGISTRY_KEY),
            )
            assert (proved.index, proved.record["bt"]) == (index, index)
            assert (proved.checkpoint.size, proved.seen_at_s) == (size, NOW_MS // 1000)


def test_there_is_no_receipt_beyond_the_log(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(Heartbeat(at_ms=START_MS, boottime_ms=1, skew_ms=0))
        here.take(node.batch())

        for node_id, index in (("n_1", 1), ("n_1", -1), ("n_2", 0)):
            with pytest.raises(Refusal, match="receipt_not_found"):
                here.within(lambda db, name=node_id, at=index: receipt_for(db, name, at))

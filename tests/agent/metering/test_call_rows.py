"""The root in a record is over the very rows of its calls, and any of them can be proved."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent.metering.operations import prove_call
from protocol.call_row import verify_call_proof
from protocol.lease import Lease
from protocol.refusal import LogRefused, Refusal
from tests.agent.metering.rig import Node, finished_call
from tests.fakes.agent_store import migrated


def test_every_call_of_a_minute_is_proved_against_its_record(node: Node) -> None:
    for at in range(5):
        finished_call(node, f"r_{at}", tokens_out=10 + at, micros=10 + at)
    node.passed(1_000).tick()
    finished_call(node, "r_5", tokens_out=7, micros=7)
    node.passed(1_000).tick()

    proofs = {f"r_{at}": prove_call(node.db, f"r_{at}") for at in range(6)}

    assert [proof.count for proof in proofs.values()] == [5, 5, 5, 5, 5, 1]
    for name, proof in proofs.items():
        row, record = verify_call_proof(msgspec.json.encode(proof).decode())
        assert row["id"] == name
        assert record in node.uses()
    assert sum(bool(use.rows_root) for use in node.uses()) == 2


def test_a_row_that_was_changed_afterwards_is_not_proved(node: Node) -> None:
    finished_call(node, "r_0", tokens_out=10, micros=10)
    finished_call(node, "r_1", tokens_out=10, micros=10)
    node.passed(1_000).tick()
    with node.db.unit():
        node.db.write("UPDATE call SET tokens_out = 9 WHERE call_id = 'r_1'", {})

    for name in ("r_0", "r_1"):
        with pytest.raises(LogRefused, match="call_unproven"):
            verify_call_proof(msgspec.json.encode(prove_call(node.db, name)).decode())


def test_a_call_that_no_record_counts_is_named(node: Node) -> None:
    finished_call(node, "r_0", tokens_out=10, micros=10)

    for name in ("r_0", "r_never"):
        with pytest.raises(Refusal, match="call_not_recorded"):
            prove_call(node.db, name)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with migrated(tmp_path) as db:
        made = Node(db)
        made.grant(Lease(lease_id=1, tenant_id="t_1", amount=10**6, expires_in_ms=10**9))
        yield made

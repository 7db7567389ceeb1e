"""A node changes its key against the registry itself, whatever gets lost on the way."""

from agent.sync.queries import get_identity
from agent.usage_log.queries import find_key_change, get_log
from protocol.signing import new_signing_key, public_bytes
from registry.log_events.queries import list_keys
from registry.nodes.queries import get_node
from tests.contracts.edge import KEY, TICK_MS, Edge
from tests.fakes.node_keys import KeptKeys

NEXT = new_signing_key(bytes(range(132, 164)))


def test_a_node_changes_its_key_and_goes_on(edge: Edge) -> None:
    _worked(edge)
    edge.keys.following = NEXT

    assert edge.syncs() == "answered"

    _has_changed(edge)
    edge.passes(6 * TICK_MS)
    edge.ticks()
    assert edge.syncs() == "answered"
    log = edge.store.run_now(get_log)
    assert log.accepted.size == log.frontier.size
    with edge.rig.database.unit() as db:
        keys = list_keys(db, edge.node_id, 0)
    assert [key.public_key for key in keys] == [public_bytes(KEY), public_bytes(NEXT)]
    assert keys[1].from_size < log.accepted.size


def test_nothing_is_signed_by_the_next_key_alone_before_both_have_signed(edge: Edge) -> None:
    _worked(edge)
    edge.keys.following = NEXT
    edge.ticks()

    edge.syncs()

    with edge.rig.database.unit() as db:
        (_, changed) = list_keys(db, edge.node_id, 0)
    names = {line.split(" ")[2][:6] for line in changed.note.splitlines() if line.startswith("—")}
    assert len(names) == 2


def test_an_answer_that_got_lost_is_asked_for_again_as_whom_the_node_became(
    edge: Edge,
) -> None:
    _worked(edge)
    edge.keys.following = NEXT
    edge.line.loses = True
    edge.syncs()
    edge.line.loses = False
    assert edge.store.run_now(find_key_change) is not None
    with edge.rig.database.unit() as db:
        assert get_node(db, edge.node_id).public_key == public_bytes(NEXT)

    assert edge.syncs() == "answered"

    _has_changed(edge)


def test_a_restart_in_the_middle_of_a_change_finishes_it(edge: Edge) -> None:
    _worked(edge)
    edge.keys.following = NEXT
    edge.line.loses = True
    edge.syncs()
    edge.restart()

    assert edge.syncs() == "answered"

    _has_changed(edge)


def test_the_old_key_is_nobody_s_any_more(edge: Edge) -> None:
    _worked(edge)
    edge.keys.following = NEXT
    edge.syncs()
    edge.keys = KeptKeys(KEY)
    edge.restart()

    assert "refused" in edge.syncs()


def _worked(edge: Edge) -> None:
    edge.syncs()
    edge.passes(TICK_MS)
    edge.ticks()
    assert edge.syncs() == "answered"


def _has_changed(edge: Edge) -> None:
    assert edge.keys.current is NEXT
    assert edge.keys.following is None
    assert edge.store.run_now(find_key_change) is None
    identity = edge.store.run_now(get_identity)
    assert identity.public_key == public_bytes(NEXT)
    with edge.rig.database.unit() as db:
        node = get_node(db, edge.node_id)
    assert node.public_key == public_bytes(NEXT)

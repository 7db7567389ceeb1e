"""What a node says of itself is kept; what cannot be right about it becomes a finding."""

import msgspec
import pytest

from protocol.observed import AcceleratorFact, HostFacts
from protocol.sync import SyncRequest
from registry.nodes.enrolment import NodeFacts
from registry.nodes.operations import (
    add_node,
    bump_generation,
    note_contact,
    spend_nonce,
)
from registry.nodes.queries import (
    get_node,
    list_accelerators,
    list_held_versions,
    move_every_generation,
    note_facts,
)
from registry.sites.operations import add_site
from registry.sites.site import SiteFacts
from registry.store.database import Db
from registry.tenants.operations import add_organization
from registry.tenants.roles import console
from tests.registry.rig import Rig

FACTS = NodeFacts("gpu01", "", "NVIDIA H100 80GB", 2, 1400, 4)
GPU = AcceleratorFact(
    "GPU-0",
    "NVIDIA H100 80GB",
    81_559,
    simulated=False,
    healthy=True,
    held_by="a_1",
    temperature_c=61,
    power_mw=412_000,
)


def test_what_a_node_says_is_kept(rig: Rig) -> None:
    with rig.database.unit() as db:
        node_id = _node(rig, db)

        findings = note_contact(db, node_id, _said(rig), now_ms=rig.clock())

        node = get_node(db, node_id)
        (card,) = list_accelerators(db, node_id)
    assert findings == ()
    assert (node.generation_held, node.key_set_held) == (3, 5)
    assert node.last_contact_at_ms == rig.clock()
    assert node.host is not None
    assert node.host.hostname == "gpu01"
    assert (card.held_by, card.temperature_c, card.power_mw) == ("a_1", 61, 412_000)


def test_a_gpu_that_is_left_out_is_no_longer_there(rig: Rig) -> None:
    with rig.database.unit() as db:
        node_id = _node(rig, db)
        note_contact(db, node_id, _said(rig), now_ms=rig.clock())

        note_contact(db, node_id, _said(rig, accelerators=(), sequence=2), now_ms=rig.clock())

        assert list_accelerators(db, node_id) == []


def test_a_gpu_of_another_node_is_not_taken_and_is_a_finding(rig: Rig) -> None:
    with rig.database.unit() as db:
        first, second = _node(rig, db), _node(rig, db, name="gpu02")
        note_contact(db, first, _said(rig), now_ms=rig.clock())

        (finding,) = note_contact(db, second, _said(rig), now_ms=rig.clock())

        assert (finding.code, finding.subject) == ("gpu_elsewhere", "GPU-0")
        assert list_accelerators(db, second) == []
        assert len(list_accelerators(db, first)) == 1


def test_simulated_gpus_of_a_node_that_enrolled_with_real_ones_are_not_taken(rig: Rig) -> None:
    simulated = (msgspec.structs.replace(GPU, simulated=True),)
    with rig.database.unit() as db:
        node_id = _node(rig, db)

        (finding,) = note_contact(
            db, node_id, _said(rig, accelerators=simulated), now_ms=rig.clock()
        )

        assert finding.code == "gpu_simulated"
        assert list_accelerators(db, node_id) == []


@pytest.mark.parametrize(("ahead_ms", "is_found"), [(0, False), (4_999, False), (-5_000, True)])
def test_a_clock_that_is_off_is_a_finding(rig: Rig, ahead_ms: int, is_found: bool) -> None:
    with rig.database.unit() as db:
        node_id = _node(rig, db)

        findings = note_contact(
            db, node_id, _said(rig, sent_at_ms=rig.clock() + ahead_ms), now_ms=rig.clock()
        )

        assert [one.code for one in findings] == (["clock_off"] if is_found else [])
        assert get_node(db, node_id).skew_ms == ahead_ms


def test_a_call_of_the_same_boot_that_counts_backwards_shows_a_second_machine(rig: Rig) -> None:
    with rig.database.unit() as db:
        node_id = _node(rig, db)
        note_contact(db, node_id, _said(rig, sequence=9), now_ms=rig.clock())

        again = note_contact(db, node_id, _said(rig, sequence=9), now_ms=rig.clock())
        new_boot = note_contact(db, node_id, _said(rig, boot_id="b2"), now_ms=rig.clock())

    assert [one.code for one in again] == ["node_cloned"]
    assert new_boot == ()


def test_generations_only_go_up(rig: Rig) -> None:
    with rig.database.unit() as db:
        node_id = _node(rig, db)

        assert [bump_generation(db, node_id, now_ms=rig.clock()) for _ in range(3)] == [2, 3, 4]
        assert get_node(db, node_id).desired_at_ms == rig.clock()


def test_a_fresh_node_has_something_to_hear_and_hears_of_new_prices(rig: Rig) -> None:
    with rig.database.unit() as db:
        node_id = _node(rig, db)
        before = get_node(db, node_id).generation

        bumped = move_every_generation(db, now_ms=rig.clock())

        assert (before, bumped, get_node(db, node_id).generation) == (1, 1, 2)


def test_a_nonce_is_spent_once_per_signer(rig: Rig) -> None:
    with rig.database.unit() as db:
        spent = [
            spend_nonce(db, signer, "nonce-0123456789", expires_at_ms=1)
            for signer in ("key-a", "key-a", "key-b")
        ]

    assert spent == [True, False, True]


def test_only_enrolled_nodes_count_among_those_that_honour_keys(rig: Rig) -> None:
    with rig.database.unit() as db:
        node_id = _node(rig, db)
        tenant_id = get_node(db, node_id).tenant_id
        before = list_held_versions(db, tenant_id)
        note_facts(db, node_id, {"key_id": "0" * 16, "public_key": "0" * 64})

        note_contact(db, node_id, _said(rig), now_ms=rig.clock())

        assert (before, list_held_versions(db, tenant_id)) == ([], [5])


def _node(rig: Rig, db: Db, *, name: str = "gpu01") -> str:
    facts = SiteFacts(f"site of {name}", "Nairobi", "KE", "telecom_room", "fibre", 20)
    project, _ = add_organization(
        db, f"Org {name}", f"{name}@umoja.example", intent="both", caller=rig.caller()
    )
    site = add_site(
        db,
        facts,
        tenant_id=project.tenant_id,
        actor=console(),
        now_ms=rig.clock(),
        new_id=rig.new_id,
    )
    named = NodeFacts(name, "", FACTS.accelerator, 2, 1400, 4)
    return add_node(
        db,
        named,
        site_id=site.site_id,
        actor=console(),
        now_ms=rig.clock(),
        new_id=rig.new_id,
    )


def _said(rig: Rig, **changes: object) -> SyncRequest:
    good = SyncRequest(
        agent_version="0.1.0",
        protocol=1,
        boot_id="b1",
        sequence=1,
        sent_at_ms=rig.clock(),
        gateway_url="https://gpu01.example",
        desired_generation=3,
        key_set_version=5,
        key_set_issued_at_ms=0,
        host=HostFacts("gpu01", 32, 262_144, 900_000, "Docker 26.1", "6.1"),
        accelerators=(GPU,),
        allocations=(),
        models=(),
        findings=(),
        leases=(),
    )
    return msgspec.structs.replace(good, **changes)


def test_a_new_node_has_something_to_hear_and_new_prices_reach_every_node(rig: Rig) -> None:
    with rig.database.unit() as db:
        node_id = _node(rig, db)
        first = get_node(db, node_id).generation

        move_every_generation(db, now_ms=rig.clock())

        assert first == 1
        assert get_node(db, node_id).generation == 2

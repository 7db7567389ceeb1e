"""A node with a good key that lies: it harms nobody's money, no page, no other node."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from protocol.observed import HostFacts, ObservedAllocation
from protocol.usage import TOKENS_OUT, Use
from registry.allocations.operations import EVENTS_TOLD_MAX, observe
from registry.allocations.progress import AHEAD_MS_SHOWN
from registry.incidents.operations import CLOSED_KEPT_MAX
from registry.incidents.queries import list_open as list_open_findings
from registry.leases.allotment import FLOOR_MICROS
from registry.leases.queries import list_open
from registry.leases.terms import TERMS
from registry.ledger.queries import get_balance
from registry.nodes.contact import BOOTS_KEPT_MAX
from registry.nodes.operations import (
    BATCH_ENTRIES_FREE,
    CALL_AHEAD_MS_MAX,
    CALL_STEP_MS,
    GONE_KEPT_MAX,
    GONE_KEPT_MS,
    note_entries,
    why_too_fast,
)
from registry.nodes.queries import list_uuids
from registry.store.tables.allocations import allocation_event
from registry.store.tables.audit import audit_event
from registry.store.tables.incidents import finding as kept_finding
from registry.store.tables.nodes import accelerator
from registry.sync.answer import KEY_SET_LIFE_MS
from tests.registry.liar import Liar, card, finding, observed
from tests.registry.marketplace import MODEL, Marketplace, add_online_node, uuid_of

BEYOND = 2**63


@pytest.fixture
def liar(market: Marketplace) -> Liar:
    """The node at the market."""
    return Liar(market)


@pytest.mark.parametrize(
    "changes",
    [
        {"findings": [finding(since_ms=BEYOND)]},
        {"accelerators": [card(0, utilization_percent=BEYOND)]},
        {"accelerators": [card(0, utilization_percent=2**31)]},
        {"accelerators": [card(0, memory_used_mib=-BEYOND - 1)]},
        {"accelerators": [card(0, temperature_c=2**31)]},
        {"accelerators": [card(0, power_mw=BEYOND)]},
        {"accelerators": [card(0, memory_mib=None)]},
        {"accelerators": [card(0, held_by="a" * 100_000)]},
        {"accelerators": [card(0, model="H100\x00")]},
        {"accelerators": [card(0, uuid="GPU\x00")]},
        {"findings": [finding(detail="\x00")]},
        {"findings": [finding(subject="a\x00b")]},
        {"boot_id": "boot\x00"},
        {"agent_version": "1\x00"},
        {"gateway_url": "https://x\n"},
        {"models": [{"name": "m\x00", "ready": True}]},
        {"models": [{"name": "m", "ready": True, "owned_by": "\x00"}]},
        {"host": HostFacts("\x00", 8, 32_768, 100_000, "Docker", "6.1")},
        {"sequence": 2**53 - 1},
        {"accelerators": [card(0), card(0)]},
        {"models": [{"name": "m", "ready": True}, {"name": "m", "ready": True}]},
        {"findings": [finding(), finding()]},
    ],
)
def test_attack_47_whatever_a_node_says_nothing_breaks(
    liar: Liar, changes: dict[str, object]
) -> None:
    answer = liar.says(**changes)

    assert answer.status_code in (200, 400), answer.text
    assert liar.says().status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"exit_code": BEYOND},
        {"exit_code": 2**31},
        {"detail": "\x00"},
        {"container_id": "\x00"},
        {"accelerators": ["\x00"]},
        {"phase": "exited", "failure": "\x00", "exit_code": -BEYOND},
        {"phase": "running", "ready_at_ms": 2**53 - 1},
    ],
)
def test_attack_47_whatever_a_node_says_of_an_allocation_nothing_breaks(
    liar: Liar, changes: dict[str, object]
) -> None:
    allocation_id = liar.market.customer().launched()

    answer = liar.says(allocations=[observed(allocation_id, **changes)])

    assert answer.status_code in (200, 400), answer.text
    assert liar.says().status_code == 200


@pytest.mark.parametrize("at_ms", [0, 1, 253_402_300_799_999])
def test_a_node_s_moments_break_no_page_of_a_customer(liar: Liar, at_ms: int) -> None:
    customer = liar.market.customer()
    ids = [customer.launched("one"), customer.launched("two")]
    moments = {"since_ms": at_ms, "ready_at_ms": at_ms, "started_at_ms": at_ms}
    begun = liar.market.rig.clock()

    for phase in ("pulling", "running", "absent"):
        told = [observed(one, phase=phase, **moments) for one in ids]
        said = [finding(since_ms=at_ms)]
        assert liar.says(allocations=told, findings=said).status_code == 200
        for path in ("/", "/workloads", f"/workloads/{ids[0]}", "/workloads?as=csv"):
            assert customer.browser.get(path).status_code == 200, path
        assert liar.market.host.get(f"/nodes/{liar.market.node_id}").status_code == 200

    with liar.market.rig.database.reading() as db:
        moments_kept = [row.at_ms for row in db.rows(select(allocation_event.c.at_ms))]
    assert all(begun <= at <= begun + AHEAD_MS_SHOWN for at in moments_kept)


def test_attack_51_a_gpu_of_another_node_is_found_out(liar: Liar) -> None:
    add_online_node(liar.market, "other-1", first=2)

    assert liar.says(accelerators=[card(0), card(2)]).status_code == 200

    with liar.market.rig.database.reading() as db:
        codes = {one.code for one in list_open_findings(db, node_id=liar.market.node_id)}
    assert "gpu_elsewhere" in codes


def test_a_second_machine_with_the_same_key_is_found_out(liar: Liar) -> None:
    assert liar.says(sequence=9).status_code == 200
    assert liar.says(sequence=9).status_code == 200

    with liar.market.rig.database.reading() as db:
        codes = {one.code for one in list_open_findings(db, node_id=liar.market.node_id)}
    assert "node_cloned" in codes


def test_fault_24_a_machine_that_another_boot_succeeded_fences_both(liar: Liar) -> None:
    allocation_id = liar.market.customer().launched()
    assert liar.hears(boot_id="A").leases
    assert liar.hears(boot_id="B").leases

    assert liar.hears(boot_id="A").leases == ()
    assert liar.hears(boot_id="B").leases == ()
    assert liar.hears(boot_id="C").leases == ()

    with liar.market.rig.database.reading() as db:
        (found,) = list_open_findings(db, node_id=liar.market.node_id)
    assert (found.code, found.severity) == ("node_cloned", "critical")
    assert liar.market.customer("ben@other.example").launches().status_code == 409
    assert liar.market.host.get(f"/nodes/{liar.market.node_id}").status_code == 200
    assert allocation_id


def test_a_call_of_an_earlier_boot_that_was_long_on_its_way_fences_nothing(liar: Liar) -> None:
    liar.market.customer().launched()
    sent_at_ms = liar.market.rig.clock()
    liar.hears(boot_id="A")
    liar.market.rig.clock.forward(60_000)
    assert liar.hears(boot_id="B").leases

    assert liar.hears(boot_id="A", sent_at_ms=sent_at_ms).leases
    assert liar.hears(boot_id="B").leases


def test_a_node_that_calls_without_end_is_slowed_down(liar: Liar) -> None:
    burst = CALL_AHEAD_MS_MAX // CALL_STEP_MS
    statuses = [liar.says().status_code for _ in range(burst + 1)]

    refused = liar.says()
    liar.market.rig.clock.forward(CALL_STEP_MS)
    after = liar.says()

    assert statuses == [200] * burst + [429]
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert after.status_code == 200


def test_a_node_that_catches_up_is_not_slowed_down(liar: Liar) -> None:
    node_id = liar.market.node_id
    with liar.market.rig.database.unit() as db:
        for _ in range(3 * CALL_AHEAD_MS_MAX // CALL_STEP_MS):
            assert why_too_fast(db, node_id, now_ms=liar.market.rig.clock()) is None
            note_entries(db, node_id, BATCH_ENTRIES_FREE)


def test_gpus_that_a_node_names_once_do_not_pile_up(liar: Liar) -> None:
    def cards(call: int) -> list[dict[str, object]]:
        return [card(0, uuid=f"GPU-{call}-{at}", held_by="a_1") for at in range(16)]

    for call in range(8):
        liar.hears(accelerators=cards(call))

    count = select(func.count()).select_from(accelerator)
    with liar.market.rig.database.reading() as db:
        assert db.value(count) == 16 + GONE_KEPT_MAX


def test_a_gpu_that_is_gone_is_forgotten_after_a_day(liar: Liar) -> None:
    liar.hears()
    liar.hears(accelerators=[card(0)])
    liar.market.rig.clock.forward(GONE_KEPT_MS)
    liar.hears(accelerators=[card(0)])
    with liar.market.rig.database.reading() as db:
        kept = list_uuids(db, liar.market.node_id)

    liar.market.rig.clock.forward(1)
    liar.hears(accelerators=[card(0)])

    with liar.market.rig.database.reading() as db:
        assert kept == {uuid_of(0), uuid_of(1)}
        assert list_uuids(db, liar.market.node_id) == {uuid_of(0)}


def test_a_node_that_boots_often_is_no_clone(liar: Liar) -> None:
    liar.market.customer().launched()

    for boot in range(BOOTS_KEPT_MAX + 3):
        assert liar.hears(boot_id=f"boot-{boot}").leases


def test_a_stranger_s_calls_fill_no_audit(liar: Liar) -> None:
    count = select(func.count()).select_from(audit_event)
    with liar.market.rig.database.reading() as db:
        before = db.value(count)

    for _ in range(3):
        liar.calls += 1
        assert liar.posts(b"x", key=Ed25519PrivateKey.generate()).status_code == 401

    with liar.market.rig.database.reading() as db:
        assert db.value(count) == before


def test_attack_54_a_node_s_words_fill_no_database(liar: Liar) -> None:
    allocation_id = liar.market.customer().launched()

    for call in range(6):
        told = [observed(allocation_id, detail=f"{call} {at}") for at in range(64)]
        said = [finding(subject=f"{call} {at}") for at in range(256)]
        assert liar.says(allocations=told, findings=said).status_code == 200

    with liar.market.rig.database.reading() as db:
        assert db.value(select(func.count()).select_from(allocation_event)) <= 2 + 6
        assert db.value(select(func.count()).select_from(kept_finding)) <= 256 + CLOSED_KEPT_MAX


def test_a_state_path_takes_a_bounded_number_of_a_node_s_words(liar: Liar) -> None:
    allocation_id = liar.market.customer().launched()

    for call in range(EVENTS_TOLD_MAX + 5):
        with liar.market.rig.database.unit() as db:
            seen = ObservedAllocation(allocation_id, "pulling", since_ms=1, detail=f"{call}")
            observe(db, liar.market.node_id, [seen], now_ms=liar.market.rig.clock())

    with liar.market.rig.database.reading() as db:
        count = db.value(select(func.count()).select_from(allocation_event))
    assert count == EVENTS_TOLD_MAX


def test_a_key_that_ended_long_ago_pays_for_nothing(liar: Liar) -> None:
    customer = liar.market.customer()
    customer.api()
    tenant_id, project_id = customer.tenant_id, customer.project_id
    page = customer.browser.get("/access/api-keys").text
    key_id = page.partition('id="key-')[2].partition('"')[0]
    assert customer.browser.post(f"/access/api-keys/{key_id}/revoke").status_code == 303
    liar.market.rig.clock.forward(KEY_SET_LIFE_MS + 1)
    before = balance_of(liar, tenant_id)

    liar.market.calls(key_id, tenant_id, project_id, tokens=1_000_000)

    assert balance_of(liar, tenant_id) == before


def test_a_node_on_the_market_that_invents_calls_is_topped_up_to_a_limit_an_hour(
    liar: Liar,
) -> None:
    customer = liar.market.customer(micros=500_000_000)
    customer.api()
    tenant_id, project_id = customer.tenant_id, customer.project_id
    page = customer.browser.get("/access/api-keys").text
    key_id = page.partition('id="key-')[2].partition('"')[0]
    cumulative = 0
    liar.market.rig.clock.forward(60_000)

    for _ in range(60):
        leases = liar.hears(models=[{"name": MODEL, "ready": True}]).leases
        if not leases:
            break
        with liar.market.rig.database.reading() as db:
            lease = max(list_open(db, liar.market.node_id), key=lambda one: one.remaining)
        quantity = lease.remaining * 10 // 2
        cumulative += quantity
        now_ms = liar.market.rig.clock()
        liar.market.delivers(
            [
                Use(
                    key_id, tenant_id, project_id, MODEL, TOKENS_OUT, lease.lease_id,
                    now_ms - 1, now_ms, quantity, cumulative,
                )
            ]
        )  # fmt: skip

    lost = 500_000_000 - balance_of(liar, tenant_id)
    assert 0 < lost <= TERMS["standard"].calls_micros_max + FLOOR_MICROS


def balance_of(liar: Liar, tenant_id: str) -> int:
    """What a tenant has."""
    with liar.market.rig.database.reading() as db:
        return get_balance(db, tenant_id).total

"""A site serves its own organization alone until the operator opens it, and again once closed."""

import pytest
from sqlalchemy import select, update

from protocol.desired import DesiredState
from protocol.key_set import KeySet
from protocol.lifecycle import State
from protocol.refusal import Refusal
from protocol.sync import SyncAnswer
from protocol.wire import decode
from registry.allocations.operations import fleet
from registry.allocations.queries import find_allocation
from registry.market.operations import close_site, open_site
from registry.store.tables.audit import audit_event
from registry.store.tables.sites import site
from registry.sync.operations import list_owners
from registry.tenants.roles import SignedIn, console
from tests.registry.liar import Liar
from tests.registry.marketplace import MODEL, Customer, Marketplace

SERVED = [{"name": MODEL, "ready": True}]


def test_a_stranger_s_site_gets_nothing_of_anybody_else(market: Marketplace) -> None:
    victim = market.customer()
    program = victim.api()
    made_private(market)

    answer = Liar(market).hears(models=SERVED)

    assert keys_in(answer) == ()
    assert answer.leases == ()
    assert program.get("/v1/models").json == {"object": "list", "data": []}
    assert victim.launches().status_code == 409
    assert "Demo edge room" not in victim.browser.get("/launch").text


def test_usage_that_a_stranger_s_node_invents_is_refused(market: Marketplace) -> None:
    victim = market.customer()
    victim.api()
    key_id = victim.browser.get("/access/api-keys").text.partition('id="key-')[2].partition('"')[0]
    made_private(market)

    with pytest.raises(AssertionError, match="owner_unknown"):
        market.calls(key_id, victim.tenant_id, victim.project_id, tokens=1_000)


def test_a_private_site_serves_its_own_organization(market: Marketplace) -> None:
    made_private(market)
    owner = Customer(market, market.host, "host@site.example")
    market.fund(owner.tenant_id, 50_000_000)
    program = owner.api()
    market.serves(MODEL)

    answer = Liar(market).hears(models=SERVED)

    assert len(keys_in(answer)) == 1
    assert [lease.tenant_id for lease in answer.leases] == [owner.tenant_id]
    listed = program.get("/v1/models").json
    assert listed is not None
    assert [model["id"] for model in listed["data"]] == [MODEL]
    with market.rig.database.reading() as db:
        assert [node.node_id for node in fleet(db, owner.tenant_id).nodes] == [market.node_id]
        assert fleet(db, "t_other").nodes == ()


def test_opened_it_serves_all_at_the_next_call(market: Marketplace) -> None:
    victim = market.customer()
    program = victim.api()
    made_private(market)
    before = Liar(market).hears(models=SERVED)

    with market.rig.database.unit() as db:
        assert open_site(db, market.site_id, actor=console(), now_ms=market.rig.clock())
        assert not open_site(db, market.site_id, actor=console(), now_ms=market.rig.clock())

    held = key_set_of(before)
    after = Liar(market, calls=1).hears(
        models=SERVED, key_set_version=held.version, key_set_issued_at_ms=held.issued_at_ms
    )
    assert len(keys_in(after)) == 1
    assert [lease.tenant_id for lease in after.leases] == [victim.tenant_id]
    assert program.get("/v1/models").json != {"object": "list", "data": []}
    assert victim.launches().status_code == 303


def test_closed_it_keeps_no_work_money_or_key_of_others(market: Marketplace) -> None:
    victim = market.customer()
    victim.api()
    allocation_id = victim.launched()
    market.runs(allocation_id)
    liar = Liar(market)
    assert liar.hears(models=SERVED).leases

    with market.rig.database.unit() as db:
        ended = close_site(db, market.site_id, actor=console(), now_ms=market.rig.clock())
        assert close_site(db, market.site_id, actor=console(), now_ms=market.rig.clock()) is None

    answer = liar.hears(models=SERVED)
    with market.rig.database.reading() as db:
        found = find_allocation(db, allocation_id)
        actions = [row.action for row in db.rows(select(audit_event.c.action))]
    assert ended == 1
    assert found is not None
    assert (found.state, found.release_at_ms) == (State.RELEASING, market.rig.clock())
    assert answer.leases == ()
    assert keys_in(answer) == ()
    assert [one.phase for one in desired_in(answer).allocations] == ["absent"]
    assert {"site.opened", "site.closed"} <= set(actions)
    page = victim.browser.get(f"/workloads/{allocation_id}").text
    assert "The operator closed this site to others" in page


def test_what_was_used_before_a_closing_can_still_be_delivered(market: Marketplace) -> None:
    victim = market.customer()
    victim.api()
    key_id = victim.browser.get("/access/api-keys").text.partition('id="key-')[2].partition('"')[0]

    with market.rig.database.unit() as db:
        close_site(db, market.site_id, actor=console(), now_ms=market.rig.clock())
        owners = list_owners(db, market.node_id, [key_id])

    assert set(owners) == {key_id}


def test_only_the_operator_opens_and_closes(market: Marketplace) -> None:
    with market.rig.database.reading() as db:
        owner_tenant = db.value(select(site.c.tenant_id))
    owner = SignedIn("u_1", None, "host@site.example", owner_tenant, None, frozenset({"owner"}))

    with market.rig.database.unit() as db, pytest.raises(Refusal) as refused:
        close_site(db, market.site_id, actor=owner, now_ms=market.rig.clock())

    assert refused.value.status == 403


def test_the_owner_reads_whom_a_site_serves(market: Marketplace) -> None:
    opened = market.host.get("/sites").text
    made_private(market)

    private = market.host.get("/sites").text

    assert "Open to everybody" in opened
    assert "A private site serves your organization alone" not in opened
    assert "A private site serves your organization alone" in private


def made_private(market: Marketplace) -> None:
    """The site as its owner added it, never opened."""
    with market.rig.database.unit() as db:
        db.write(update(site).values(opened_at_ms=None, closed_at_ms=None))


def key_set_of(answer: SyncAnswer) -> KeySet:
    """The key set in an answer."""
    assert answer.key_set is not None
    return decode(answer.key_set.payload.encode(), KeySet)


def keys_in(answer: SyncAnswer) -> tuple[str, ...]:
    """The keys a node hears of."""
    return tuple(key.key_id for key in key_set_of(answer).keys)


def desired_in(answer: SyncAnswer) -> DesiredState:
    """What a node should run."""
    assert answer.desired is not None
    return decode(answer.desired.payload.encode(), DesiredState)

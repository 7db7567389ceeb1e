"""On which terms money goes to nodes: by trust, not for the suspended, not what is gone already."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from protocol.clock import DAY_MS, HOUR_MS, MINUTE_MS
from protocol.refusal import Refusal
from registry.adjustments.operations import reverse
from registry.cli import registry as command
from registry.leases.operations import (
    change_trust,
    close,
    find_terms,
    grant_first,
    grant_for_node,
    release_overdue,
    resume,
    suspend,
)
from registry.leases.queries import find_lease, put_terms
from registry.leases.terms import ABSENCE_MS, TERMS, TenantTerms, Trust, recalled_because
from registry.ledger.operations import post
from registry.ledger.postings import UsageCharge, usage
from registry.ledger.queries import change_credit_limit, get_balance, get_purse
from registry.store.database import Db
from registry.tenants.roles import ROLES, SignedIn, console
from tests.registry.books import books, give
from tests.registry.marketplace import HOURLY, Marketplace
from tests.registry.rig import Rig
from tests.services.databases import Databases

UNIT = 1_000_000
TIMES = [("unproven", 15 * MINUTE_MS), ("standard", DAY_MS), ("contracted", 7 * DAY_MS)]
AHEAD = [("unproven", 30 * MINUTE_MS), ("standard", 4 * HOUR_MS), ("contracted", 3 * DAY_MS)]


@pytest.mark.parametrize(("trust", "life_ms"), TIMES)
def test_a_lease_lives_as_long_as_its_tenant_is_trusted_and_its_hold_for_an_absence_more(
    databases: Databases, trust: Trust, life_ms: int
) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 4_000 * UNIT)
        put_terms(db, "t_1", TenantTerms(trust), now_ms=0)

        (lease,) = grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=0)

        assert lease.expires_in_ms == life_ms
        assert release_overdue(db, now_ms=life_ms + ABSENCE_MS - 1) == 0
        assert release_overdue(db, now_ms=life_ms + ABSENCE_MS) == 1


@pytest.mark.parametrize(("trust", "ahead_ms"), AHEAD)
def test_a_node_holds_as_much_of_the_burn_as_its_tenant_is_trusted(
    databases: Databases, trust: Trust, ahead_ms: int
) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 4_000 * UNIT)
        put_terms(db, "t_1", TenantTerms(trust), now_ms=0)

        (lease,) = grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=0)

        assert lease.amount == UNIT * ahead_ms // HOUR_MS


@pytest.mark.parametrize("trust", ["unproven", "standard", "contracted"])
def test_a_node_in_contact_is_renewed_long_before_its_lease_ends(
    databases: Databases, trust: Trust
) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 4_000 * UNIT)
        put_terms(db, "t_1", TenantTerms(trust), now_ms=0)
        terms = TERMS[trust]
        grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=0)
        at_ms = terms.life_ms - terms.renew_ms

        before = grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=at_ms - 1)
        after = grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=at_ms)

        assert [lease.expires_in_ms for lease in before] == [terms.renew_ms + 1]
        assert [lease.expires_in_ms for lease in after] == [terms.renew_ms, terms.life_ms]


def test_lowered_trust_shortens_the_leases_that_are_out(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 4_000 * UNIT)
        put_terms(db, "t_1", TenantTerms("contracted"), now_ms=0)
        grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=0)
        put_terms(db, "t_1", TenantTerms("unproven"), now_ms=5)

        (lease,) = grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=5)

        assert lease.expires_in_ms == 15 * MINUTE_MS


def test_money_that_is_gone_already_recalls_every_lease_until_enough_came_back(
    databases: Databases,
) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 8 * UNIT)
        give(db, "t_1", 2 * UNIT, src="bank:2")
        (first,) = grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=0)
        (second,) = grant_for_node(db, "n_2", burn={"t_1": UNIT}, serving=(), now_ms=0)
        assert (first.amount, second.amount) == (4 * UNIT, 3 * UNIT)

        reverse(db, "bank:1", memo="Charged back", actor=console(), now_ms=1)

        assert get_balance(db, "t_1").available == -5 * UNIT
        for node_id in ("n_1", "n_2", "n_3"):
            assert grant_for_node(db, node_id, burn={"t_1": UNIT}, serving=(), now_ms=2) == []
        assert grant_first(db, "t_1", "n_3", hourly_micros=UNIT, now_ms=2) is None
        close(db, first.lease_id, 3)
        assert grant_for_node(db, "n_2", burn={"t_1": UNIT}, serving=(), now_ms=4) == []
        close(db, second.lease_id, 5)
        (last,) = grant_for_node(db, "n_2", burn={"t_1": UNIT}, serving=(), now_ms=6)
        assert last.amount == UNIT


def test_what_a_recalled_node_used_before_it_heard_is_charged_to_what_there_is(
    databases: Databases,
) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 8 * UNIT)
        grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=0)
        reverse(db, "bank:1", memo="Charged back", actor=console(), now_ms=1)

        charge = UsageCharge(by_class={"gpu": UNIT}, charged=UNIT, overrun=0, late=0)
        purse = get_purse(db, "t_1")
        post(db, usage(src="log:1", at_ms=2, purse=purse, charge=charge))

        assert get_balance(db, "t_1").total == 0


def test_a_lower_credit_limit_recalls_as_well(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        change_credit_limit(db, "t_1", 10 * UNIT)
        assert grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=0)

        change_credit_limit(db, "t_1", 3 * UNIT)

        assert grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=1) == []


def test_another_tenant_of_the_node_goes_on(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 8 * UNIT)
        give(db, "t_2", 8 * UNIT, src="bank:2")
        put_terms(db, "t_1", TenantTerms("standard", 5, "Fraud"), now_ms=5)

        stated = grant_for_node(db, "n_1", burn={"t_1": UNIT, "t_2": UNIT}, serving=(), now_ms=6)

        assert [lease.tenant_id for lease in stated] == ["t_2"]


def test_suspension_leaves_leases_out_keeps_their_holds_and_ends_with_resuming(
    market: Marketplace,
) -> None:
    customer = market.customer()
    customer.launched()
    with market.rig.database.unit() as db:
        held = get_balance(db, customer.tenant_id).held
        suspend(db, customer.tenant_id, " Chargeback   fraud ", actor=console(), now_ms=7)
        suspend(db, customer.tenant_id, "Chargeback fraud", actor=console(), now_ms=8)

        assert _stated(db, market, customer.tenant_id) == 0
        assert get_balance(db, customer.tenant_id).held == held
        terms = find_terms(db, customer.tenant_id)
        assert (terms.suspended_at_ms, terms.suspended_why) == (7, "Chargeback fraud")
        assert resume(db, customer.tenant_id, actor=console(), now_ms=9)
        assert not resume(db, customer.tenant_id, actor=console(), now_ms=9)
        assert _stated(db, market, customer.tenant_id) == 1
        assert find_terms(db, customer.tenant_id) == TenantTerms()


def test_a_suspended_organization_launches_nothing_and_is_told_why(market: Marketplace) -> None:
    customer = market.customer()
    with market.rig.database.unit() as db:
        suspend(db, customer.tenant_id, "Mining", actor=console(), now_ms=7)

    refused = customer.launches()

    assert refused.status_code == 403
    assert "This organization is suspended: Mining" in refused.text


@pytest.mark.parametrize("why", ["", "  ", "x" * 81, "line\u202eturned"])
def test_a_suspension_without_a_readable_reason_is_refused(market: Marketplace, why: str) -> None:
    tenant_id = market.customer().tenant_id
    with market.rig.database.unit() as db, pytest.raises(Refusal) as refused:
        suspend(db, tenant_id, why, actor=console(), now_ms=7)

    assert (refused.value.status, refused.value.field) == (422, "why")


def test_each_change_of_terms_stands_in_the_audit_once(market: Marketplace) -> None:
    tenant_id = market.customer().tenant_id
    with market.rig.database.unit() as db:
        change_trust(db, tenant_id, "contracted", actor=console(), now_ms=7)
        suspend(db, tenant_id, "Mining", actor=console(), now_ms=8)
        resume(db, tenant_id, actor=console(), now_ms=9)

        actions = db.rows(
            text(
                "SELECT action FROM audit_event WHERE object = :id AND at_ms < 10 ORDER BY sequence"
            ),
            {"id": tenant_id},
        )

    assert [row.action for row in actions] == [
        "tenant.trust_changed",
        "tenant.suspended",
        "tenant.resumed",
    ]


def test_nobody_of_the_organization_itself_may_change_its_terms(market: Marketplace) -> None:
    customer = market.customer()
    actor = SignedIn(
        person_id="u_ana",
        api_key_id=None,
        email="ana@umoja.example",
        tenant_id=customer.tenant_id,
        project_id=customer.project_id,
        roles=frozenset(ROLES),
    )
    with market.rig.database.unit() as db:
        for change in (
            lambda: change_trust(db, customer.tenant_id, "contracted", actor=actor, now_ms=7),
            lambda: suspend(db, customer.tenant_id, "Why", actor=actor, now_ms=7),
            lambda: resume(db, customer.tenant_id, actor=actor, now_ms=7),
        ):
            with pytest.raises(Refusal) as refused:
                change()
            assert refused.value.status in (403, 404)


def test_the_console_sets_terms_and_says_what_they_are(rig: Rig, tmp_path: Path) -> None:
    tenant_id = Marketplace(rig, rig.member("host@site.example"), "", "").customer().tenant_id

    trusted = _typed(rig, tmp_path, "trust", tenant_id, "contracted", "--json")
    suspended = _typed(rig, tmp_path, "suspend", tenant_id, "--why", "Mining")
    resumed = _typed(rig, tmp_path, "resume", tenant_id)

    assert msgspec.json.decode(trusted.stdout)["data"]["trust"] == "contracted"
    assert "is suspended" in suspended.stdout
    assert "may work again" in resumed.stdout
    assert _typed(rig, tmp_path, "trust", tenant_id, "total").exit_code == 2


def test_a_recalled_tenant_is_told_apart() -> None:
    assert recalled_because(TenantTerms(), available=0) == ""
    assert recalled_because(TenantTerms(), available=-1) == "frozen"
    assert recalled_because(TenantTerms("standard", 1, "Why"), available=5) == "suspended"


def _stated(db: Db, market: Marketplace, tenant_id: str) -> int:
    """How many leases the node is answered."""
    leases = grant_for_node(
        db, market.node_id, burn={tenant_id: HOURLY}, serving=(), now_ms=market.rig.clock()
    )
    assert all(find_lease(db, lease.lease_id) is not None for lease in leases)
    return len(leases)


def _typed(rig: Rig, folder: Path, *words: str) -> Result:
    """What `outstation-registry organization …` answers over the rig's database."""
    path = folder / "registry.toml"
    url = rig.database.url.render_as_string(hide_password=False)
    path.write_text(
        f'base_url = "https://registry.example"\ndatabase = "{url}"\n'
        f'key_file = "{rig.config.key_file}"\n'
        f'[mail]\nsender = "r@registry.example"\noutbox = "letters"\n',
        encoding="utf-8",
    )
    return CliRunner().invoke(command, ["--config", str(path), "organization", *words])

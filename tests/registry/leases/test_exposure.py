"""Whatever happens in whatever order, nodes never hold more than a tenant has (I2, I3)."""

import tempfile
from pathlib import Path
from shutil import rmtree

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from registry.adjustments.operations import grant_promo
from registry.leases.operations import close, grant_first, grant_for_node, release_overdue, settle
from registry.leases.queries import find_lease, open_by_tenant
from registry.ledger.balance import Balance
from registry.ledger.operations import post, verify
from registry.ledger.postings import UsageCharge, usage
from registry.ledger.queries import change_credit_limit, get_balance, get_purse
from registry.store.database import Database, Db
from registry.tenants.roles import console
from tests.registry.books import give, make_tables

DAY_MS = 86_400_000
MEMORY = Path("/dev/shm")
tenants = st.sampled_from(["t_1", "t_2"])
nodes = st.sampled_from(["n_1", "n_2", "n_3"])
sums = st.integers(1, 5_000_000)


def test_no_order_of_events_promises_more_than_there_is() -> None:
    run_state_machine_as_test(
        Money, settings=settings(max_examples=25, stateful_step_count=40, deadline=None)
    )


class Money(RuleBasedStateMachine):
    """Tenants pay in, nodes are handed leases, spend them, close them or fall silent."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.exists() else None))
        self.database = Database(f"sqlite:///{self.folder / 'books.sqlite'}")
        make_tables(self.database)
        self.now_ms = 0
        self.steps = 0
        self.paid = {"t_1": 0, "t_2": 0}
        self.charged = {"t_1": 0, "t_2": 0}
        self.credit = {"t_1": 0, "t_2": 0}

    @rule(tenant=tenants, micros=sums)
    def pay_in(self, tenant: str, micros: int) -> None:
        with self.database.unit() as db:
            give(db, tenant, micros, src=self._src())
        self.paid[tenant] += micros

    @rule(tenant=tenants, micros=sums)
    def be_granted_promo(self, tenant: str, micros: int) -> None:
        with self.database.unit() as db:
            grant_promo(
                db, tenant, grant=self._src().replace(":", "-"), micros=micros,
                expires_at_ms=None, memo="", actor=console(), now_ms=self.now_ms,
            )  # fmt: skip
        self.paid[tenant] += micros

    @rule(tenant=tenants, micros=sums)
    def be_given_more_credit(self, tenant: str, micros: int) -> None:
        self.credit[tenant] += micros
        with self.database.unit() as db:
            change_credit_limit(db, tenant, self.credit[tenant])

    @rule(tenant=tenants, node=nodes, hourly=sums)
    def launch(self, tenant: str, node: str, hourly: int) -> None:
        with self.database.unit() as db:
            before = get_balance(db, tenant)
            granted = grant_first(db, tenant, node, hourly_micros=hourly, now_ms=self.now_ms)
            if granted is not None:
                self._fits(before, get_balance(db, tenant))

    @rule(node=nodes, burn=st.dictionaries(tenants, sums), serving=st.sets(tenants))
    def sync(self, node: str, burn: dict[str, int], serving: set[str]) -> None:
        with self.database.unit() as db:
            leases = grant_for_node(db, node, burn=burn, serving=serving, now_ms=self.now_ms)
        assert {lease.tenant_id for lease in leases} <= {*burn, *serving}
        assert all(lease.expires_in_ms > 0 for lease in leases)

    @precondition(lambda self: self._count())
    @rule(at=st.integers(0, 100), micros=sums)
    def spend(self, at: int, micros: int) -> None:
        with self.database.unit() as db:
            lease = find_lease(db, 1 + at % self._count())
            assert lease is not None
            charged = settle(db, lease.lease_id, micros)
            assert charged <= lease.remaining
            if charged:
                self._post(db, lease.tenant_id, charged)
                self.charged[lease.tenant_id] += charged

    @precondition(lambda self: self._count())
    @rule(at=st.integers(0, 100))
    def close(self, at: int) -> None:
        with self.database.unit() as db:
            close(db, 1 + at % self._count(), self.now_ms)

    @rule(passed_ms=st.integers(1, 3 * DAY_MS))
    def wait(self, passed_ms: int) -> None:
        self.now_ms += passed_ms
        with self.database.unit() as db:
            release_overdue(db, now_ms=self.now_ms)

    @invariant()
    def what_is_promised_fits_what_is_there(self) -> None:
        with self.database.reading() as db:
            promised = open_by_tenant(db)
            for tenant in ("t_1", "t_2"):
                balance = get_balance(db, tenant)
                assert balance.held == promised.get(tenant, 0)
                assert balance.held <= balance.total + balance.credit_limit
                assert balance.total == self.paid[tenant] - self.charged[tenant]
                assert self.charged[tenant] <= self.paid[tenant] + self.credit[tenant]
            assert verify(db).problems == ()

    def teardown(self) -> None:
        self.database.close()
        rmtree(self.folder)

    def _fits(self, before: Balance, after: Balance) -> None:
        assert after.held > before.held
        assert after.available >= 0

    def _post(self, db: Db, tenant: str, micros: int) -> None:
        purse = get_purse(db, tenant)
        charge = UsageCharge(by_class={"gpu": micros}, charged=micros, overrun=0, late=0)
        journal = usage(src=self._src(), at_ms=self.now_ms, purse=purse, charge=charge)
        assert "X:overrun" not in dict(journal.postings)
        post(db, journal)

    def _src(self) -> str:
        self.steps += 1
        return f"step:{self.steps}"

    def _count(self) -> int:
        with self.database.reading() as db:
            lease_id = 0
            while find_lease(db, lease_id + 1) is not None:
                lease_id += 1
            return lease_id

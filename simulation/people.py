"""Everybody who is no machine: customers who launch, call and pay, and the operator."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from protocol.clock import MINUTE_MS
from protocol.ids import ENTROPY_BYTES
from protocol.ids import new_id as make_id
from protocol.manifest import Manifest
from protocol.money import MICROS_PER_UNIT
from registry.access.operations import NewKey, create_key
from registry.accounts.operations import Caller
from registry.adjustments.operations import reverse
from registry.allocations.fleet import Market
from registry.allocations.launch_form import LaunchForm
from registry.allocations.operations import launch, release
from registry.app import market as market_of
from registry.catalogue.operations import load_catalogue
from registry.catalogue.sku import Catalogue, read_catalogue
from registry.leases.operations import change_trust, resume, suspend
from registry.leases.terms import TERMS, Trust
from registry.ledger.operations import add_funds
from registry.ledger.queries import change_credit_limit
from registry.store.database import Db
from registry.tenants.operations import add_organization
from registry.tenants.roles import ROLES, SignedIn, console
from simulation.calls import MODEL
from simulation.centre import Centre
from simulation.machine import IMAGE_ID
from simulation.machine import MODEL as CARD_MODEL
from simulation.setup import Setup
from simulation.timeline import Timeline

SKU = "sim-h100.1x"
HOURLY_UNITS = 3
IMAGE = f"work@{IMAGE_ID}"
TRUSTS: tuple[Trust, ...] = ("unproven", "standard", "contracted")
PAYMENT_UNITS_MAX = 40
CREDIT_UNITS_MAX = 10
ALLOCATIONS_MAX = 6
SUSPENDED_MS_MAX = 90 * MINUTE_MS


@dataclass(slots=True)
class Tenant:
    """A customer, with what is true of its money whatever the registry writes down.

    paid      paid in, less what was taken back
    credit    what it may owe
    payments  keys of the payments that were not taken back
    live      allocations it launched and has not released
    """

    name: str
    tenant_id: str
    project_id: str
    actor: SignedIn
    trust: Trust
    paid: int = 0
    credit: int = 0
    payments: list[tuple[str, int]] = field(default_factory=list)
    live: list[str] = field(default_factory=list)
    suspended_at_ms: int | None = None
    wishes: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """Who hears of what people do.

    launched   an allocation was launched
    suspended  a tenant was suspended at this moment
    changed    anything was written by the registry
    debited    money was taken back from a tenant
    priced     a price version came into the book: SKU, meter, numerator, denominator, from when
    """

    launched: Callable[[str], None]
    suspended: Callable[[Tenant], None]
    changed: Callable[[], None]
    debited: Callable[[Tenant], None]
    priced: Callable[[str, str, int, int, int], None]


class People:
    """What people do, at times of their own."""

    def __init__(self, centre: Centre, timeline: Timeline, setup: Setup, told: Told) -> None:
        self.tenants: list[Tenant] = []
        self.quiet = False
        self._centre = centre
        self._timeline = timeline
        self._setup = setup
        self._told = told
        self._chance: Random = setup.chance("people")
        self._count = 0

    def new_id(self, kind: str) -> str:
        """Return a fresh id."""
        entropy = self._chance.randbytes(ENTROPY_BYTES)
        return make_id(kind, now_ms=self._timeline.now_ms, entropy=entropy)

    def begin(self) -> None:
        """Set the catalogue up and let every customer come."""
        self._loads(_catalogue(HOURLY_UNITS * MICROS_PER_UNIT, 7))
        for at in range(self._setup.tenants):
            self._comes(f"t{at}")
        self._later(self._acts)
        if self._setup.has("suspend"):
            self._later(self._suspends)
        if self._setup.has("chargeback"):
            self._later(self._charges_back)

    def contacted(self) -> None:
        """A node was just heard of: whoever wished for a launch tries it now."""
        for tenant in self.tenants:
            if tenant.wishes and not self.quiet:
                tenant.wishes -= 1
                self._launches(tenant)

    def goes_home(self) -> None:
        """Let nobody begin anything more; what runs is released and what is suspended resumed."""
        self.quiet = True
        for tenant in self.tenants:
            self._resumes(tenant)
            for allocation_id in list(tenant.live):
                self._releases(tenant, allocation_id)

    def caller(self) -> Caller:
        """Return a request as the registry sees it."""
        return Caller(self._timeline.now_ms, "192.0.2.7", "r", self.new_id, self._chance.randbytes)

    def market(self, db: Db) -> Market:
        """Return what may be sold, on the terms of this run."""
        found = market_of(db, demo=True)
        return Market(demo=True, blocking=found.blocking, terms=self._setup.terms)

    def _comes(self, name: str) -> None:
        tenant = self._founds(name)
        self.tenants.append(tenant)
        self._pays(tenant)
        if self._chance.random() < 0.4:
            tenant.credit = self._chance.randint(1, CREDIT_UNITS_MAX) * MICROS_PER_UNIT
            self._do(lambda db: change_credit_limit(db, tenant.tenant_id, tenant.credit))
        tenant.wishes = 2

    def _founds(self, name: str) -> Tenant:
        """Create an organization with an API key, on terms of some trust."""
        trust = self._chance.choice(TRUSTS)
        made: list[Tenant] = []

        def work(db: Db) -> None:
            now_ms = self._timeline.now_ms
            project, person_id = add_organization(
                db, name, f"{name}@people.example", intent="use", caller=self.caller()
            )
            actor = SignedIn(
                person_id=person_id,
                api_key_id=None,
                email="",
                tenant_id=project.tenant_id,
                project_id=project.project_id,
                roles=frozenset(ROLES),
            )
            create_key(
                db,
                NewKey(name="program"),
                project_id=project.project_id,
                actor=actor,
                now_ms=now_ms,
                new_id=self.new_id,
                entropy=self._chance.randbytes,
            )
            change_trust(db, project.tenant_id, trust, actor=console(), now_ms=now_ms)
            made.append(Tenant(name, project.tenant_id, project.project_id, actor, trust))

        assert self._do(work) == ""
        return made[0]

    def _acts(self) -> None:
        if self.quiet:
            return
        tenant = self._chance.choice(self.tenants)
        drawn = self._chance.random()
        if drawn < 0.45 and len(tenant.live) < ALLOCATIONS_MAX:
            tenant.wishes += 1
        elif drawn < 0.65 and tenant.live:
            self._releases(tenant, self._chance.choice(tenant.live))
        elif drawn < 0.9:
            self._pays(tenant)
        elif drawn < 0.95:
            self._changes_trust(tenant)
        else:
            self._lowers_prices()
        self._later(self._acts)

    def _launches(self, tenant: Tenant) -> None:
        self._count += 1
        kind = "task" if self._chance.random() < 0.3 else "service"
        manifest = Manifest(image=IMAGE, kind=kind)  # type: ignore[arg-type]  # one of the literals
        count = 1 if self._setup.cards == 1 else self._chance.choice([1, 1, 2])
        form = LaunchForm(f"work-{self._count}", SKU, manifest, count=count)

        def work(db: Db) -> None:
            made = launch(
                db,
                form,
                actor=tenant.actor,
                project_id=tenant.project_id,
                market=self.market(db),
                now_ms=self._timeline.now_ms,
                new_id=self.new_id,
            )
            tenant.live.append(made.allocation_id)

        if self._do(work, f"{tenant.name} launches") == "":
            self._told.launched(tenant.live[-1])

    def _releases(self, tenant: Tenant, allocation_id: str) -> None:
        def work(db: Db) -> None:
            release(db, allocation_id, actor=tenant.actor, now_ms=self._timeline.now_ms)

        self._do(work, f"{tenant.name} releases")
        tenant.live.remove(allocation_id)

    def _pays(self, tenant: Tenant) -> None:
        micros = self._chance.randint(1, PAYMENT_UNITS_MAX) * MICROS_PER_UNIT
        self._count += 1
        src = f"bank:{self._count}"
        tenant.paid += micros
        self._do(
            lambda db: _note_payment(
                db, tenant.tenant_id, src, micros, now_ms=self._timeline.now_ms
            ),
            f"{tenant.name} pays {micros}",
        )
        tenant.payments.append((src, micros))

    def _charges_back(self) -> None:
        if self.quiet:
            return
        tenant = self._chance.choice(self.tenants)
        if tenant.payments:
            src, micros = tenant.payments.pop(self._chance.randrange(len(tenant.payments)))

            def work(db: Db) -> None:
                # Refused where it is spent already: then there is nothing to take.
                reverse(db, src, memo="Charged back", actor=console(), now_ms=self._timeline.now_ms)
                tenant.paid -= micros
                self._told.debited(tenant)

            self._do(work, f"{tenant.name} is charged back {micros}")
        self._later(self._charges_back, times=6)

    def _suspends(self) -> None:
        if self.quiet:
            return
        tenant = self._chance.choice(self.tenants)
        if tenant.suspended_at_ms is None:
            tenant.suspended_at_ms = now_ms = self._timeline.now_ms
            self._do(
                lambda db: suspend(db, tenant.tenant_id, "Why", actor=console(), now_ms=now_ms),
                f"{tenant.name} is suspended",
            )
            self._told.suspended(tenant)
            ms = self._chance.randrange(SUSPENDED_MS_MAX)
            self._timeline.after(ms, lambda: self._resumes(tenant))
        self._later(self._suspends, times=3)

    def _resumes(self, tenant: Tenant) -> None:
        if tenant.suspended_at_ms is None:
            return
        tenant.suspended_at_ms = None

        def work(db: Db) -> None:
            resume(db, tenant.tenant_id, actor=console(), now_ms=self._timeline.now_ms)

        self._do(work, f"{tenant.name} is resumed")

    def _changes_trust(self, tenant: Tenant) -> None:
        tenant.trust = trust = self._chance.choice(TRUSTS)
        now_ms = self._timeline.now_ms
        self._do(
            lambda db: change_trust(db, tenant.tenant_id, trust, actor=console(), now_ms=now_ms),
            f"{tenant.name} is {trust}",
        )

    def _lowers_prices(self) -> None:
        hourly = HOURLY_UNITS * MICROS_PER_UNIT - self._chance.randrange(1, MICROS_PER_UNIT)
        self._loads(_catalogue(hourly, self._chance.randint(3, 7)))

    def _loads(self, catalogue: Catalogue) -> None:
        def work(db: Db) -> None:
            loaded = load_catalogue(db, catalogue, actor=console(), now_ms=self._timeline.now_ms)
            for price in loaded.prices:
                self._told.priced(
                    price.sku, price.meter, price.num, price.den, price.effective_at_ms
                )

        self._do(work, "the operator sets prices")

    def _do(self, work: Callable[[Db], object], what: str = "") -> str:
        def unit(db: Db) -> None:
            work(db)

        refused = self._centre.do(unit)
        if what:
            self._timeline.tell("people", f"{what} {refused}".strip())
        self._told.changed()
        return refused

    def _later(self, act: Callable[[], None], *, times: int = 1) -> None:
        mean_ms = self._setup.act_ms * times
        self._timeline.after(self._chance.randrange(2 * mean_ms), act)


def _note_payment(db: Db, tenant_id: str, src: str, micros: int, *, now_ms: int) -> None:
    add_funds(db, tenant_id, src=src, micros=micros, memo="Bank transfer", now_ms=now_ms)


def _catalogue(hourly_micros: int, token_micros: int) -> Catalogue:
    return read_catalogue(
        f"""
        [[sku]]
        id = "{SKU}"
        class = "gpu"
        name = "Simulated H100"
        accelerator_model = "{CARD_MODEL}"
        accelerator_count = 1
        accelerator_memory_mib = 81920
        cpu_milli = 4000
        memory_mib = 16384
        disk_mib = 20480
        power_w = 700
        simulated = true
        price = [{{ meter = "gpu.ms", micros = {hourly_micros}, per = 3600000 }}]

        [[sku]]
        id = "{MODEL}"
        class = "model"
        name = "Simulated model"
        price = [
            {{ meter = "tok.in", micros = {token_micros}, per = 3 }},
            {{ meter = "tok.out", micros = {token_micros * 3}, per = 7 }},
        ]
        """.encode()
    )


assert set(TRUSTS) == set(TERMS)

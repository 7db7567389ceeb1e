"""Random lives of payments: what is asked, paid, told, lost, killed and repeated, from a seed.

A schedule drives the shipped code over real HTTP against the fake of Stripe, and knows by the fake
alone what must come of it.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from protocol.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from protocol.refusal import Fault as ProductFault
from protocol.refusal import Refusal
from registry.adjustments.operations import verify_founded
from registry.jobs import Errand, payment_errands
from registry.payment_events.api import EXTENSION as WEBHOOKS
from registry.payment_events.api import Webhooks
from registry.payments.checkout import TopUp
from registry.payments.operations import Wish, begin
from registry.payments.queries import find_top_up
from registry.reconciliation.operations import expected_journals
from registry.refunds.operations import begin_refund
from registry.settlement.cards import Addresses
from registry.settlement.operations import open_page, settle_if_due
from registry.tenants.queries import list_projects, list_tenants
from registry.tenants.roles import SignedIn, console
from tests.fakes.stripe.calls import Call
from tests.fakes.stripe.deliveries import signed
from tests.fakes.stripe.faults import Fault
from tests.fakes.stripe.outward import new_refund
from tests.registry.till import Till

CENT = 10_000
CARDS = ("pm_ok", "pm_ok", "pm_ok", "pm_declined", "pm_poor", "pm_bank")
FAULTS = (Fault.DROPPED, Fault.BROKEN, Fault.REFUSED)
PATHS = (
    *("POST /v1/customers", "POST /v1/checkout/sessions", "GET /v1/checkout/sessions"),
    *("GET /v1/payment_intents", "POST /v1/refunds", "GET /v1/refunds", "GET /v1/disputes"),
    *("GET /v1/balance_transactions", "GET /v1/charges", "GET /v1/balance"),
)
ROUNDS_TO_REST = 2


class Killed(Exception):
    """The process ended after the processor had answered, before our row was written."""


@dataclass
class Mortal:
    """The card processor for a process that may be killed right after a call."""

    payments: Any
    kills: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.payments, name)
        if not callable(found):
            return found

        def called(*args: Any, **named: Any) -> Any:
            answer = found(*args, **named)
            if name in self.kills:
                self.kills.remove(name)
                raise Killed(name)
            return answer

        return called


@dataclass
class Schedules:
    """One organization that pays again and again, each time in another order of things."""

    till: Till
    actor: SignedIn
    random: random.Random
    mortal: Mortal
    told: int = 0
    """How many of the processor's events were before this schedule."""

    waiting: list[Any] = field(default_factory=list)
    """Events that Stripe has not delivered yet."""

    top_ups: list[str] = field(default_factory=list)

    def run(self) -> None:
        """One schedule: some payments, everything that may happen to them, then rest."""
        steps = [self.begin, self.begin, self.pay, self.pay, self.deliver, self.deliver]
        steps += [self.deliver, self.come_back, self.work, self.plan_fault, self.plan_kill]
        steps += [self.give_back, self.take_back, self.decide, self.clear, self.wait, self.forge]
        self.begin()
        for _ in range(self.random.randrange(6, 16)):
            self.random.choice(steps)()
            self.check_nothing_is_made_up()
        self.rest()
        self.check_at_rest()

    # What may happen

    def begin(self) -> None:
        """Send the form, perhaps twice."""
        clock = self.till.rig.clock
        clock.forward(4 * MINUTE_MS)
        nonce = f"form-{len(self.top_ups):06d}-{self.random.getrandbits(32):08x}"
        cents = self.random.choice((500, 1099, 2500, 5000, 10_000))
        wish = Wish(cents * CENT, nonce, "ana@umoja.example", "/billing", keep_card=False)
        for _ in range(self.random.choice((1, 1, 2, 3))):
            row = self.till.rig.database.run(
                begin, wish, actor=self.actor, now_ms=clock(), new_id=self.till.rig.new_id
            )
            if row.top_up_id not in self.top_ups:
                self.top_ups.append(row.top_up_id)
            self._tolerated(lambda row=row: self._open(row))

    def pay(self) -> None:
        """Somebody pays on an open page."""
        account = self.till.stripe.account
        pages = account.open_pages()
        if pages:
            page = self.random.choice(pages[:3])
            account.pay(page["id"], self.random.choice(CARDS))

    def deliver(self) -> None:
        """Stripe tells of something: in any order, again, or never."""
        self._collect()
        for _ in range(self.random.randrange(1, 6)):
            if not self.waiting:
                return
            at = self.random.randrange(len(self.waiting))
            event = self.waiting[at]
            fate = self.random.random()
            if fate < 0.75:
                del self.waiting[at]
            if fate < 0.15:
                continue  # lost for ever
            times = 2 if fate > 0.65 else 1
            for _ in range(times):
                assert self.till.deliver(event) == 200

    def forge(self) -> None:
        """Somebody sends what Stripe did not sign, or signed long ago."""
        self._collect()
        if self.waiting:
            event, now_ms = self.random.choice(self.waiting), self.till.rig.clock()
            forged = signed(event, at_ms=now_ms, secret="whsec_guess")
            stale = signed(event, at_ms=now_ms - DAY_MS)
            assert self.till.send(forged) == 400
            assert self.till.send(stale) == 400

    def come_back(self) -> None:
        """A payer opens the page to which the hosted page leads."""
        if not self.top_ups:
            return
        row = self._row(self.random.choice(self.top_ups[-3:]))
        till = self.till
        self._tolerated(
            lambda: settle_if_due(till.rig.database, self.mortal, row, now_ms=till.rig.clock())
        )

    def work(self) -> None:
        """The background work does a round, perhaps in a process that is killed in it."""
        self.till.rig.clock.forward(self.random.choice((SECOND_MS, MINUTE_MS, HOUR_MS)))
        for errand in self._errands():
            self._tolerated(lambda errand=errand: self._do(errand))

    def plan_fault(self) -> None:
        self.till.stripe.faults.plan(self.random.choice(PATHS), self.random.choice(FAULTS))

    def plan_kill(self) -> None:
        calls = ("open_checkout", "ensure_customer", "find_session", "refund", "find_payment")
        self.mortal.kills.append(self.random.choice(calls))

    def give_back(self) -> None:
        """A refund: asked for here, or made at Stripe by hand; some come back."""
        paid = self._paid()
        if not paid:
            return
        row = self.random.choice(paid)
        left = row.micros - row.refunded_micros
        cents = self.random.choice((1, 100, left // CENT))
        if self.random.random() < 0.5:
            self._tolerated(lambda: self._refund_here(row, cents))
        else:
            self._refund_there(row, cents)
        sent = [
            one
            for one in self.till.stripe.account.of_kind("refund")
            if one["status"] == "succeeded"
        ]
        if sent and self.random.random() < 0.3:
            self.till.stripe.account.fail_refund(sent[0]["id"])

    def take_back(self) -> None:
        """A bank takes a payment back for now."""
        account = self.till.stripe.account
        fresh = [
            one
            for one in account.of_kind("charge")
            if not one["disputed"] and one["amount_refunded"] == 0
        ]
        if fresh and self.random.random() < 0.3:
            account.dispute(self.random.choice(fresh[:3])["payment_intent"])

    def decide(self) -> None:
        account = self.till.stripe.account
        open_ones = [one for one in account.of_kind("dispute") if one["status"] == "needs_response"]
        if open_ones:
            account.decide(self.random.choice(open_ones)["id"], won=self.random.random() < 0.5)

    def clear(self) -> None:
        """A delayed payment comes in, or does not."""
        account = self.till.stripe.account
        slow = [one for one in account.of_kind("payment_intent") if one["status"] == "processing"]
        if slow:
            account.clear(slow[0]["id"], succeeds=self.random.random() < 0.7)

    def wait(self) -> None:
        self.till.rig.clock.forward(self.random.choice((MINUTE_MS, HOUR_MS, DAY_MS, 3 * DAY_MS)))

    def rest(self) -> None:
        """Nothing goes wrong any more, and the background work catches up."""
        self.till.stripe.faults.planned.clear()
        self.mortal.kills.clear()
        account = self.till.stripe.account
        for page in account.open_pages():
            account.expire(page["id"])
        for intent in list(account.of_kind("payment_intent")):
            if intent["status"] == "processing":
                account.clear(intent["id"], succeeds=True)
        for _ in range(ROUNDS_TO_REST):
            self.till.rig.clock.forward(61 * MINUTE_MS)
            for errand in self._errands():
                self._do(errand)

    # What must hold

    def check_nothing_is_made_up(self) -> None:
        """No payment is credited that was not made, and none twice."""
        credited = self._credited()
        made = {
            f"stripe:{one['id']}:succeeded": one["amount_received"] * CENT
            for one in self.till.stripe.account.of_kind("payment_intent")
            if one["status"] == "succeeded"
        }
        assert credited.items() <= made.items()

    def check_at_rest(self) -> None:
        """Every payment is credited, and the books say what Stripe says."""
        account = self.till.stripe.account
        made = {
            f"stripe:{one['id']}:succeeded": one["amount_received"] * CENT
            for one in account.of_kind("payment_intent")
            if one["status"] == "succeeded"
        }
        assert self._credited() == made
        books = self.till.accounts()
        assert books.get("A:stripe", 0) == account.balance_cents * CENT
        assert books.get("X:fee", 0) == sum(one["fee"] for one in account.transactions) * CENT
        assert sum(books.values()) == 0
        tenant_id = self.actor.tenant_id
        has = -sum(books.get(f"{kind}:{tenant_id}", 0) for kind in ("L:wallet", "L:frozen"))
        owes = books.get(f"A:recv:{tenant_id}", 0)
        refunds = account.of_kind("refund")
        back = sum(one["amount"] for one in refunds if one["status"] != "failed")
        lost = sum(one["amount"] for one in account.of_kind("dispute") if one["status"] == "lost")
        assert has - owes == sum(made.values()) - (back + lost) * CENT
        with self.till.rig.database.reading() as db:
            findings = db.connection.exec_driver_sql(
                "SELECT code, detail FROM payment_finding WHERE closed_at_ms IS NULL"
            ).all()
            unfounded = verify_founded(db, expected_journals(db))
        assert findings == []
        assert unfounded == ()

    # How

    def _tolerated(self, work: Callable[[], Any]) -> None:
        """A step may be refused, fail or be killed; what was done before stands."""
        try:
            work()
        except (Refusal, ProductFault, Killed):
            return

    def _open(self, row: TopUp) -> None:
        open_page(
            self.till.rig.database,
            self.mortal,
            row,
            Addresses("https://registry.example"),
            now_ms=self.till.rig.clock(),
        )

    def _refund_here(self, row: TopUp, cents: int) -> None:
        self.till.rig.database.run(
            begin_refund,
            row.top_up_id,
            micros=cents * CENT,
            reason="requested_by_customer",
            actor=console(),
            now_ms=self.till.rig.clock(),
            new_id=self.till.rig.new_id,
        )

    def _refund_there(self, row: TopUp, cents: int) -> None:
        account = self.till.stripe.account
        charge = account.get(row.charge_id, "charge")
        left = charge["amount"] - charge["amount_refunded"]
        if not charge["disputed"] and 0 < cents <= left:
            params = {"payment_intent": row.payment_id, "amount": cents}
            new_refund(Call(account, None, params))  # type: ignore[arg-type]

    def _paid(self) -> list[TopUp]:
        rows = [self._row(one) for one in self.top_ups[-6:]]
        return [one for one in rows if one.is_credited and one.refunded_micros < one.micros]

    def _row(self, top_up_id: str) -> TopUp:
        with self.till.rig.database.reading() as db:
            row = find_top_up(db, top_up_id)
        assert row is not None
        return row

    def _collect(self) -> None:
        events = self.till.stripe.account.events
        self.waiting += events[self.told :]
        self.told = len(events)

    def _errands(self) -> tuple[Errand, ...]:
        return payment_errands(self.mortal)  # type: ignore[arg-type]

    def _do(self, errand: Errand) -> int:
        return errand.work(self.till.rig.database, self.till.rig.clock())

    def _credited(self) -> dict[str, int]:
        """Every payment that is credited, by the ledger's key, with its amount."""
        with self.till.rig.database.reading() as db:
            rows = db.connection.exec_driver_sql(
                "SELECT src, micros FROM journal JOIN posting ON journal_id = id "
                "WHERE kind = 'top_up' AND account = 'A:stripe'"
            ).all()
        assert len({src for src, _ in rows}) == len(rows)
        return dict(rows)


def scheduling(till: Till, seed: int) -> Schedules:
    """Schedules of one organization, from a seed."""
    till.rig.member()
    with till.rig.database.reading() as db:
        (tenant,) = list_tenants(db)
        (project,) = list_projects(db, tenant.tenant_id)
    actor = SignedIn(
        person_id="u_payer",
        api_key_id=None,
        email="ana@umoja.example",
        tenant_id=tenant.tenant_id,
        project_id=project.project_id,
        roles=frozenset({"owner"}),
    )
    mortal = Mortal(till.payments)
    till.rig.app.extensions[WEBHOOKS] = Webhooks(
        payments=till.payments, livemode=False, inline=seed % 2 == 0
    )
    return Schedules(till, actor, random.Random(seed), mortal)

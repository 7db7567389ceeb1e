"""A registry that takes cards: the real application, the real driver, and a Stripe on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from werkzeug.test import TestResponse

from registry.config import Stripe
from registry.drivers.stripe_payments import StripePayments
from registry.jobs import Duty, payment_errands
from registry.ledger.queries import Balance, get_balance, list_accounts
from registry.payments.checkout import TopUp
from registry.payments.queries import list_top_ups
from tests.fakes.stripe.deliveries import NEXT_SECRET, SECRET, Delivery, signed
from tests.fakes.stripe.server import API_KEY, FakeStripe, running_stripe
from tests.fakes.stripe.shapes import HOSTED_PATH, Object
from tests.registry.rig import BASE_URL, Browser, Rig, SetClock, running
from tests.services.databases import Databases

WEBHOOK = "/api/stripe/webhook"


@dataclass
class Till:
    """The registry and the Stripe account it takes money with."""

    rig: Rig
    stripe: FakeStripe
    payments: StripePayments

    # What people do

    def begin(self, browser: Browser, amount: str = "50", **fields: str) -> TestResponse:
        """Send the form of the page Add funds."""
        typed = {"receipt_email": "ana@umoja.example", "card": "once", "return_to": "/launch"}
        return browser.post("/billing/checkout", **{**typed, "amount": amount, **fields})

    def session_of(self, answer: TestResponse) -> str:
        """The hosted page that an answer leads to."""
        assert answer.status_code == 303, answer.text
        location = answer.headers["Location"]
        assert location.startswith(self.stripe.base_url + HOSTED_PATH), location
        return location.rpartition("/")[2]

    def paid(self, browser: Browser, amount: str = "50", card: str = "pm_ok", **fields: str) -> str:
        """Begin and pay; return the hosted page's id.  Nothing has told the registry yet."""
        session_id = self.session_of(self.begin(browser, amount, **fields))
        self.stripe.account.pay(session_id, card)
        return session_id

    def come_back(self, browser: Browser, session_id: str) -> TestResponse:
        """Open the page to which the hosted page leads."""
        address = urlsplit(self.stripe.account.objects[session_id]["success_url"])
        return browser.get(f"{address.path}?{address.query}")

    # What Stripe does

    def deliver(self, event: Object, *, at_ms: int | None = None, secret: str = SECRET) -> int:
        """Deliver a webhook as it should be; return the answer's status."""
        return self.send(signed(event, at_ms=at_ms or self.rig.clock(), secret=secret))

    def send(self, delivery: Delivery) -> int:
        """Deliver a webhook, however it is made."""
        answer = self.rig.app.test_client().post(
            WEBHOOK,
            base_url=BASE_URL,
            data=delivery.body,
            headers={"Stripe-Signature": delivery.signature, "Content-Type": "application/json"},
        )
        answer.close()
        return answer.status_code

    def deliver_all(self) -> None:
        """Deliver every event there is, in order."""
        for event in list(self.stripe.account.events):
            assert self.deliver(event) == 200

    # What is seen afterwards

    def work(self) -> None:
        """Do the background work once, whatever is due."""
        self.duty().once()

    def duty(self) -> Duty:
        return Duty(
            self.rig.database,
            holder="test",
            clock=self.rig.clock,
            errands=payment_errands(self.payments),
        )

    def top_ups(self) -> list[TopUp]:
        with self.rig.database.reading() as db:
            return list_top_ups(db, limit=1000)

    def balance(self, tenant_id: str) -> Balance:
        with self.rig.database.reading() as db:
            return get_balance(db, tenant_id)

    def accounts(self) -> dict[str, int]:
        """Every account's balance as the books have it: debits above zero."""
        with self.rig.database.reading() as db:
            return {name: row.balance for name, row in list_accounts(db).items()}

    def at_stripe(self) -> int:
        """What the books say is at Stripe, in micros."""
        return self.accounts().get("A:stripe", 0)


@contextmanager
def running_till(
    databases: Databases, folder: Path, *, clock: SetClock | None = None, **settings: object
) -> Iterator[Till]:
    """A registry that takes cards, and its Stripe."""
    clock = clock or SetClock()
    (folder / "stripe.key").write_text(API_KEY)
    (folder / "webhook.secret").write_text(SECRET)
    (folder / "webhook.next").write_text(NEXT_SECRET)
    with running_stripe(clock) as fake:
        stripe = Stripe(
            api_key_file=str(folder / "stripe.key"),
            webhook_secret_files=(str(folder / "webhook.secret"), str(folder / "webhook.next")),
            livemode=False,
            checkout_origin=fake.base_url,
            api_base=fake.base_url,
        )
        # What the SDK would ask again by itself is left to the registry: faults are met sooner.
        payments = StripePayments(
            API_KEY, secrets=(SECRET, NEXT_SECRET), api_base=fake.base_url, retries=0
        )
        with running(
            databases,
            folder,
            stripe=stripe,
            payments=payments,
            clock=clock,
            **settings,  # type: ignore[arg-type]
        ) as rig:
            yield Till(rig, fake, payments)


def tenant_of(till: Till) -> str:
    """The organization that begun the newest top-up."""
    return till.top_ups()[0].tenant_id

"""A Stripe account in memory: what its calls change, what its customers do, what it reports.

Everything that moves money makes a balance transaction; the account's balance is their sum and
nothing else, so that a registry's books can be held against it.
"""

import copy
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.stripe import shapes
from tests.fakes.stripe.shapes import Object

FEE_PER_MILLE = 29
FEE_FIXED = 30
DISPUTE_FEE = 1500
LIST_DEFAULT = 10
OWN_ACCOUNT = "acct_platform"
CARDS = {
    "pm_ok": ("4242", ""),
    "pm_declined": ("0002", "generic_decline"),
    "pm_poor": ("9995", "insufficient_funds"),
    "pm_asks": ("3184", "authentication_required"),
    "pm_bank": ("6789", "processing"),
}
"""What a customer may pay with: last digits, and how it is refused or delayed."""

TEST_CARDS = {"pm_card_visa": "pm_ok", "pm_card_chargeCustomerFail": "pm_declined"}
"""Names under which Stripe's test mode has such cards."""


class StripeSaysNo(Exception):
    """An answer other than 200: status, and Stripe's error object."""

    def __init__(self, status: int, kind: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"type": kind, "message": message, **more}


@dataclass
class StripeAccount:
    """One account.  clock: epoch milliseconds;  base_url: where its hosted pages are"""

    clock: Callable[[], int]
    base_url: str = ""
    objects: dict[str, Object] = field(default_factory=dict)
    transactions: list[Object] = field(default_factory=list)
    events: list[Object] = field(default_factory=list)
    cards: dict[str, str] = field(default_factory=dict)
    """Which of CARDS a saved payment method is."""
    connected_cents: dict[str, int] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _count: int = 0

    # What the books are held against

    @property
    def balance_cents(self) -> int:
        return sum(one["net"] for one in self.transactions)

    @property
    def now(self) -> int:
        return self.clock() // 1000

    def new_id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_fake{self._count:06d}"

    def get(self, object_id: str, kind: str) -> Object:
        found = self.objects.get(object_id)
        if found is None or found["object"] != kind:
            raise StripeSaysNo(
                404,
                "invalid_request_error",
                f"No such {kind}: '{object_id}'",
                code="resource_missing",
                param="id",
            )
        return found

    def of_kind(self, kind: str) -> Iterator[Object]:
        """Objects of a kind, newest first."""
        return (one for one in reversed(self.objects.values()) if one["object"] == kind)

    # What customers do

    def pay(self, session_id: str, card: str = "pm_ok") -> Object:
        """Pay on the hosted page; return the session as it is afterwards."""
        with self.lock:
            session = self.get(session_id, "checkout.session")
            if session["status"] != "open":
                raise StripeSaysNo(400, "invalid_request_error", "This page is closed.")
            intent = self._intent_of(session)
            self.confirm(intent, self.new_card(card))
            if intent["status"] in ("succeeded", "processing"):
                session["status"] = "complete"
                session["payment_status"] = "paid" if intent["status"] == "succeeded" else "unpaid"
                self.report("checkout.session.completed", session)
            return session

    def expire(self, session_id: str) -> Object:
        """Close a page on which nobody paid."""
        with self.lock:
            session = self.get(session_id, "checkout.session")
            if session["status"] != "open":
                raise StripeSaysNo(400, "invalid_request_error", "Only open sessions can expire.")
            session["status"] = "expired"
            session["url"] = None
            self.report("checkout.session.expired", session)
            return session

    def open_pages(self) -> list[Object]:
        """Hosted pages that can be paid, newest first; those whose time is over expire first."""
        with self.lock:
            pages = [one for one in self.of_kind("checkout.session") if one["status"] == "open"]
            for page in pages:
                if page["expires_at"] <= self.now:
                    self.expire(page["id"])
            return [page for page in pages if page["status"] == "open"]

    def clear(self, intent_id: str, *, succeeds: bool) -> None:
        """Let a delayed payment come in, or fail."""
        with self.lock:
            intent = self.get(intent_id, "payment_intent")
            assert intent["status"] == "processing"
            session = next(
                one
                for one in self.of_kind("checkout.session")
                if one["payment_intent"] == intent_id
            )
            if succeeds:
                self._succeed(intent)
                session["payment_status"] = "paid"
                self.report("checkout.session.async_payment_succeeded", session)
            else:
                self._decline(intent, "generic_decline")
                self.report("checkout.session.async_payment_failed", session)

    def dispute(self, intent_id: str, reason: str = "fraudulent") -> Object:
        """Let the cardholder's bank take a payment back for now."""
        with self.lock:
            intent = self.get(intent_id, "payment_intent")
            of = self.get(intent["latest_charge"], "charge")
            made = shapes.dispute(self.new_id("dp"), created=self.now, of=of, reason=reason)
            of["disputed"] = True
            self.objects[made["id"]] = made
            taken = self.moved("adjustment", -made["amount"], made["id"], fee=DISPUTE_FEE)
            made["balance_transactions"].append(taken)
            self.report("charge.dispute.created", made)
            self.report("charge.dispute.funds_withdrawn", made)
            return made

    def decide(self, dispute_id: str, *, won: bool) -> None:
        """Close a dispute."""
        with self.lock:
            made = self.get(dispute_id, "dispute")
            made["status"] = "won" if won else "lost"
            if won:
                back = self.moved("adjustment", made["amount"], made["id"])
                made["balance_transactions"].append(back)
                self.report("charge.dispute.funds_reinstated", made)
            self.report("charge.dispute.closed", made)

    def fail_refund(self, refund_id: str) -> None:
        """Let the bank send a refund back."""
        with self.lock:
            made = self.get(refund_id, "refund")
            made["status"] = "failed"
            back = self.moved("refund_failure", made["amount"], made["id"])
            made["failure_balance_transaction"] = back["id"]
            of = self.get(made["charge"], "charge")
            of["amount_refunded"] -= made["amount"]
            of["refunded"] = False
            self.report("refund.failed", made)

    def pay_out(self, cents: int) -> Object:
        """Send money of the platform to its bank."""
        with self.lock:
            return self.moved("payout", -cents, self.new_id("po"))

    # What calls and customers both use

    def confirm(self, intent: Object, method: Object) -> None:
        """Try to pay an intent with a payment method."""
        intent["payment_method"] = method["id"]
        _, trouble = CARDS[self.cards[method["id"]]]
        if trouble == "processing":
            intent["status"] = "processing"
            self.report("payment_intent.processing", intent)
        elif trouble:
            self._decline(intent, trouble)
        else:
            self._succeed(intent)
            if intent["setup_future_usage"] == "off_session":
                method["customer"] = intent["customer"]

    def moved(self, kind: str, cents: int, source: str | None, *, fee: int = 0) -> Object:
        """Move the account's balance; return the balance transaction."""
        made = shapes.transaction(
            self.new_id("txn"), created=self.now, kind=kind, amount=cents, fee=fee, source=source
        )
        self.transactions.append(made)
        self.objects[made["id"]] = made
        return made

    def report(self, kind: str, about: Object) -> Object:
        """Note an event with the object as it is now."""
        made = shapes.event(
            self.new_id("evt"), created=self.now, kind=kind, about=copy.deepcopy(about)
        )
        self.events.append(made)
        self.objects[made["id"]] = made
        return made

    def new_intent(self, **values: Any) -> Object:
        made = shapes.payment_intent(self.new_id("pi"), created=self.now, **values)
        self.objects[made["id"]] = made
        self.report("payment_intent.created", made)
        return made

    def new_card(self, card: str) -> Object:
        """Make a payment method that is nobody's yet."""
        method = shapes.payment_method(
            self.new_id("pm"), created=self.now, last4=CARDS[card][0], customer_id=None
        )
        self.objects[method["id"]] = method
        self.cards[method["id"]] = card
        return method

    def _intent_of(self, session: Object) -> Object:
        if session["payment_intent"] is not None:
            return self.get(session["payment_intent"], "payment_intent")
        wanted = session.get("payment_intent_data", {})
        made = self.new_intent(
            amount=session["amount_total"],
            currency=session["currency"],
            customer_id=session["customer"],
            metadata=wanted.get("metadata", {}),
            setup_future_usage=wanted.get("setup_future_usage"),
            receipt_email=wanted.get("receipt_email"),
        )
        session["payment_intent"] = made["id"]
        return made

    def _succeed(self, intent: Object) -> None:
        made = shapes.charge(self.new_id("ch"), created=self.now, intent=intent)
        self.objects[made["id"]] = made
        fee = intent["amount"] * FEE_PER_MILLE // 1000 + FEE_FIXED
        made["balance_transaction"] = self.moved("charge", intent["amount"], made["id"], fee=fee)[
            "id"
        ]
        intent.update(
            status="succeeded",
            amount_received=intent["amount"],
            latest_charge=made["id"],
            last_payment_error=None,
        )
        self.report("charge.succeeded", made)
        self.report("payment_intent.succeeded", intent)

    def _decline(self, intent: Object, reason: str) -> None:
        asks = reason == "authentication_required"
        intent["status"] = "requires_payment_method"
        intent["last_payment_error"] = {
            "type": "card_error",
            "code": reason if asks else "card_declined",
            "decline_code": reason,
            "message": f"Your card was declined ({reason}).",
        }
        self.report("payment_intent.payment_failed", intent)

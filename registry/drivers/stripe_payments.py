"""Payments on Stripe, by its official SDK: the only file that knows the package.

Amounts and states are always read from objects fetched with our own key; of a webhook nothing is
used but its signature, which is checked here over the raw bytes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import stripe

from registry.drivers.stripe_objects import (
    PAYOUT_ID,
    REFUND_KEY,
    TOP_UP_ID,
    about,
    dispute_of,
    id_of,
    payment_of,
    refund_of,
    session_of,
    transaction_of,
)
from registry.payments.provider import (
    CURRENCY,
    CardOrder,
    CheckoutOrder,
    Dispute,
    Payment,
    PaymentsAway,
    PaymentsRefused,
    Refund,
    Session,
    TransactionPage,
)

ANSWER_S_MAX = 8
RETRIES = 1
"""By the SDK, with the same key; what is still unknown then is asked again by the next pass."""

LISTED_MAX = 100
PAYMENT_PARTS = ["latest_charge.balance_transaction", "payment_method"]
SESSION_PARTS = [f"payment_intent.{part}" for part in PAYMENT_PARTS]
LOST = ("resource_missing",)

T = TypeVar("T")


class StripePayments:
    """One Stripe account.

    secrets   of webhooks: the current one, and the next one while it rotates
    api_base  another address than Stripe's own, for tests
    """

    def __init__(
        self,
        api_key: str,
        *,
        secrets: tuple[str, ...],
        api_base: str = "",
        retries: int = RETRIES,
    ) -> None:
        self._secrets = secrets
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base} if api_base else None,
            max_network_retries=retries,
            http_client=stripe.RequestsClient(timeout=ANSWER_S_MAX),
        )

    def ensure_customer(self, tenant_id: str, *, name: str, email: str) -> str:
        """Return the customer of an organization, made on the first call."""
        with _said():
            made = self._client.v1.customers.create(
                {"name": name, "email": email, "metadata": {"tenant_id": tenant_id}},
                {"idempotency_key": f"customer:{tenant_id}"},
            )
        return made.id

    def open_checkout(self, order: CheckoutOrder) -> Session:
        """Open a hosted page; the same order brings the same page."""
        names = {TOP_UP_ID: order.top_up_id}
        intent: dict[str, Any] = {"metadata": names, "description": order.description}
        if order.receipt_email:
            intent["receipt_email"] = order.receipt_email
        if order.keep_card:
            intent["setup_future_usage"] = "off_session"
        item = {"currency": CURRENCY, "unit_amount": order.cents}
        params: dict[str, Any] = {
            "mode": "payment",
            "customer": order.customer_id,
            "client_reference_id": order.top_up_id,
            "line_items": [
                {"quantity": 1, "price_data": {**item, "product_data": {"name": order.description}}}
            ],
            "payment_intent_data": intent,
            "metadata": names,
            "success_url": order.success_url,
            "cancel_url": order.cancel_url,
            "expires_at": order.expires_at_ms // 1000,
            "submit_type": "pay",
            "expand": SESSION_PARTS,
        }
        with _said():
            made = self._client.v1.checkout.sessions.create(
                params,  # type: ignore[arg-type]  # built in parts; the fake checks every name
                {"idempotency_key": order.top_up_id},
            )
        return session_of(made)

    def find_checkout(self, order: CheckoutOrder, *, since_ms: int) -> Session | None:
        """Return the page that was opened for an order, for retries after keys are forgotten."""
        with _said():
            listed = self._client.v1.checkout.sessions.list(
                {
                    "customer": order.customer_id,
                    "created": {"gte": since_ms // 1000},
                    "limit": LISTED_MAX,
                    "expand": [f"data.{part}" for part in SESSION_PARTS],
                }
            )
            found = listed.auto_paging_iter()
            return next(
                (session_of(one) for one in found if one.client_reference_id == order.top_up_id),
                None,
            )

    def find_session(self, session_id: str) -> Session | None:
        """Return a hosted page as it stands."""
        sessions = self._client.v1.checkout.sessions
        found = _found(lambda: sessions.retrieve(session_id, {"expand": SESSION_PARTS}))
        return None if found is None else session_of(found)

    def close_checkout(self, session_id: str) -> Session | None:
        """Close a page on which nobody paid; return it, whatever it is then."""
        try:
            with _said():
                self._client.v1.checkout.sessions.expire(session_id)
        except PaymentsRefused:
            # It is paid or closed already: what holds is what it says itself.
            return self.find_session(session_id)
        return self.find_session(session_id)

    def pay_with_card(self, order: CardOrder) -> Payment:
        """Charge a saved card; a decline is a payment that did not succeed, not an error."""
        try:
            with _said():
                made = self._client.v1.payment_intents.create(
                    {
                        "amount": order.cents,
                        "currency": CURRENCY,
                        "customer": order.customer_id,
                        "payment_method": order.method_id,
                        "off_session": True,
                        "confirm": True,
                        "description": order.description,
                        "metadata": {TOP_UP_ID: order.top_up_id},
                        "expand": PAYMENT_PARTS,
                    },
                    {"idempotency_key": order.top_up_id},
                )
        except stripe.CardError as declined:
            payment_id = _intent_in(declined)
            found = self.find_payment(payment_id) if payment_id else None
            if found is None:
                raise PaymentsRefused(declined.code or "card_error", str(declined)) from declined
            return found
        return payment_of(made)

    def find_card_payment(self, order: CardOrder, *, since_ms: int) -> Payment | None:
        """Return the payment that was made for an order, for retries after keys are forgotten."""
        with _said():
            listed = self._client.v1.payment_intents.list(
                {
                    "customer": order.customer_id,
                    "created": {"gte": since_ms // 1000},
                    "limit": LISTED_MAX,
                    "expand": [f"data.{part}" for part in PAYMENT_PARTS],
                }
            )
            found = listed.auto_paging_iter()
            ours = (one for one in found if about(one).get(TOP_UP_ID) == order.top_up_id)
            return next((payment_of(one) for one in ours), None)

    def find_payment(self, payment_id: str) -> Payment | None:
        """Return a payment as it stands."""
        intents = self._client.v1.payment_intents
        found = _found(lambda: intents.retrieve(payment_id, {"expand": PAYMENT_PARTS}))
        return None if found is None else payment_of(found)

    def cancel_payment(self, payment_id: str) -> Payment | None:
        """Give up a payment that was not made; return it, whatever it is then."""
        try:
            with _said():
                self._client.v1.payment_intents.cancel(payment_id)
        except PaymentsRefused:
            return self.find_payment(payment_id)
        return self.find_payment(payment_id)

    def find_payment_of_charge(self, charge_id: str) -> Payment | None:
        """Return the payment behind a charge, or None for a charge that is of none."""
        charge = _found(lambda: self._client.v1.charges.retrieve(charge_id))
        payment_id = None if charge is None else id_of(charge.payment_intent)
        return self.find_payment(payment_id) if payment_id else None

    def forget_card(self, method_id: str) -> None:
        """Take a saved card away; one that is not there is gone already."""
        try:
            with _said():
                self._client.v1.payment_methods.detach(method_id)
        except PaymentsRefused:
            return

    def refund(self, refund_key: str, payment_id: str, *, cents: int, reason: str) -> Refund:
        """Send money back to the card it came from; the same key sends it once."""
        with _said():
            made = self._client.v1.refunds.create(
                {
                    "payment_intent": payment_id,
                    "amount": cents,
                    "reason": reason,
                    "metadata": {REFUND_KEY: refund_key},
                },
                {"idempotency_key": refund_key},
            )
        return refund_of(made)

    def find_refund_made(self, refund_key: str, payment_id: str) -> Refund | None:
        """Return the refund that was made with a key, for retries after keys are forgotten."""
        with _said():
            listed = self._client.v1.refunds.list(
                {"payment_intent": payment_id, "limit": LISTED_MAX}
            )
            ours = (
                one for one in listed.auto_paging_iter() if about(one).get(REFUND_KEY) == refund_key
            )
            return next((refund_of(one) for one in ours), None)

    def find_refund(self, refund_id: str) -> Refund | None:
        """Return a refund as it stands."""
        found = _found(lambda: self._client.v1.refunds.retrieve(refund_id))
        return None if found is None else refund_of(found)

    def find_dispute(self, dispute_id: str) -> Dispute | None:
        """Return a dispute as it stands."""
        found = _found(lambda: self._client.v1.disputes.retrieve(dispute_id))
        return None if found is None else dispute_of(found)

    def list_transactions(self, *, after_id: str, limit: int) -> TransactionPage:
        """Return the movements of our balance after one of them, or from the first one on."""
        transactions = self._client.v1.balance_transactions
        if after_id:
            with _said():
                page = transactions.list({"ending_before": after_id, "limit": limit})
            return TransactionPage(tuple(map(transaction_of, reversed(page.data))), page.has_more)
        # The list begins with the newest: the first ones are at its end.
        with _said():
            every = [
                transaction_of(one)
                for one in transactions.list({"limit": LISTED_MAX}).auto_paging_iter()
            ]
        return TransactionPage(tuple(reversed(every)), has_more=False)

    def balance_cents(self) -> int:
        """Return our balance by Stripe's own count, available or still on its way."""
        with _said():
            found: Any = self._client.v1.balance.retrieve()
        parts = (*found.available, *found.pending)
        return sum(one.amount for one in parts if one.currency == CURRENCY)

    def transfer(self, payout_id: str, account: str, *, cents: int) -> str:
        """Send money to a connected account; the same payout is sent once.  Return its id."""
        with _said():
            made = self._client.v1.transfers.create(
                {
                    "amount": cents,
                    "currency": CURRENCY,
                    "destination": account,
                    "transfer_group": payout_id,
                    "metadata": {PAYOUT_ID: payout_id},
                },
                {"idempotency_key": payout_id},
            )
        return made.id

    def find_transfer(self, payout_id: str) -> str:
        """Return the transfer of a payout, or nothing."""
        with _said():
            listed = self._client.v1.transfers.list({"transfer_group": payout_id, "limit": 1})
        return listed.data[0].id if listed.data else ""

    def find_payout_of(self, transfer_id: str) -> tuple[str, bool]:
        """Return which payout a transfer is, and whether all of it was called back."""
        found = _found(lambda: self._client.v1.transfers.retrieve(transfer_id))
        return ("", False) if found is None else (found.transfer_group or "", found.reversed)

    def find_reversed_transfer(self, transaction_id: str) -> str:
        """Return the transfer that a movement called back, or nothing."""
        transactions = self._client.v1.balance_transactions
        found: Any = _found(lambda: transactions.retrieve(transaction_id, {"expand": ["source"]}))
        source = None if found is None else found.source
        if source is None or isinstance(source, str):
            return ""
        return id_of(getattr(source, "transfer", None))

    def connected_cents(self, account: str) -> int:
        """Return what a connected account holds that it may give back."""
        with _said():
            found: Any = self._client.v1.balance.retrieve({}, {"stripe_account": account})
        return sum(one.amount for one in found.available if one.currency == CURRENCY)

    def reverse_transfer(self, key: str, transfer_id: str, *, cents: int) -> None:
        """Call money back from a connected account; the same key does it once."""
        with _said():
            self._client.v1.transfers.reversals.create(
                transfer_id, {"amount": cents}, {"idempotency_key": key}
            )

    def is_signed(self, body: bytes, signature: str) -> bool:
        """Whether a webhook's body was signed with one of the secrets, whenever that was."""
        for secret in self._secrets:
            try:
                stripe.WebhookSignature.verify_header(body, signature, secret, tolerance=None)
            except (stripe.SignatureVerificationError, UnicodeDecodeError):
                continue
            return True
        return False


@contextmanager
def _said() -> Iterator[None]:
    """Say in our words what kept a call from its answer."""
    try:
        yield
    except stripe.CardError:
        raise
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        raise PaymentsAway(str(error)) from error
    except stripe.StripeError as error:
        if error.http_status is None or error.http_status >= 500 or error.http_status == 409:
            raise PaymentsAway(str(error)) from error
        of_key = isinstance(error, (stripe.AuthenticationError, stripe.PermissionError))
        code = error.code or type(error).__name__
        raise PaymentsRefused(code, str(error), of_key=of_key) from error


def _found(ask: Callable[[], T]) -> T | None:
    try:
        with _said():
            return ask()
    except PaymentsRefused as refused:
        if refused.code in LOST:
            return None
        raise


def _intent_in(declined: stripe.CardError) -> str:
    error = declined.error
    intent = None if error is None else getattr(error, "payment_intent", None)
    return "" if intent is None else id_of(intent)

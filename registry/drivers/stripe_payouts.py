"""Pays sites by transfers to their accounts at Stripe (Connect, separate charges and transfers)."""

from protocol.clock import Clock
from protocol.refusal import Refusal
from registry.drivers.stripe_payments import StripePayments
from registry.ledger.account_names import STRIPE
from registry.payments.checkout import cents_of
from registry.payments.provider import KEY_LIFE_MS, PaymentsAway, PaymentsRefused
from registry.payouts.sender import PayoutAnswer, PayoutOrder

LATER = frozenset({"balance_insufficient"})
"""What Stripe says when our own balance there does not cover a transfer yet."""


class StripePayouts:
    """Sends an order as one transfer, whose key is the payout's id."""

    def __init__(self, payments: StripePayments, *, clock: Clock) -> None:
        self._payments = payments
        self._clock = clock

    @property
    def name(self) -> str:
        """How destinations name it."""
        return "stripe"

    @property
    def account(self) -> str:
        """The account of the ledger that pays."""
        return STRIPE

    def send(self, order: PayoutOrder) -> PayoutAnswer:
        """Transfer the money, once; once keys are forgotten the transfer is looked for first."""
        try:
            found = ""
            if self._clock() - order.created_at_ms >= KEY_LIFE_MS:
                found = self._payments.find_transfer(order.payout_id)
            reference = found or self._payments.transfer(
                order.payout_id, order.destination, cents=cents_of(order.micros)
            )
        except PaymentsAway:
            return PayoutAnswer("waiting")
        except PaymentsRefused as refused:
            if refused.code in LATER or refused.of_key:
                return PayoutAnswer("waiting", why=str(refused))
            return PayoutAnswer("refused", why=str(refused))
        return PayoutAnswer("paid", reference=reference)

    def call_back(self, payout_id: str, reference: str, *, destination: str, micros: int) -> None:
        """Call a transfer back, once; refused where the site's account holds less."""
        cents = cents_of(micros)
        held = self._payments.connected_cents(destination)
        if held < cents:
            raise Refusal(
                code="connected_balance",
                status=409,
                message="The site's account at the card processor holds less than that.",
                hint="Claw it back in the books: it is taken from what the site earns next.",
            )
        self._payments.reverse_transfer(f"{payout_id}:back", reference, cents=cents)

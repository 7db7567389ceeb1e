"""What a card processor must do for us, in our own words; amounts are whole cents.

Every call that changes something carries a key: sent again with the same key it is done once.
An answer that was lost is therefore asked for again, never guessed.
"""

from dataclasses import dataclass
from typing import Protocol

from protocol.refusal import Fault, Refusal

CURRENCY = "usd"
KEY_LIFE_MS = 23 * 3_600_000
"""The processor forgets keys after a day: from here on a retry looks the object up first."""

RETRY_AFTER_S = 5


class PaymentsAway(Refusal):
    """The card processor did not answer; whether it did what was asked is not known yet."""

    def __init__(self, why: str) -> None:
        super().__init__(
            code="payments_away",
            status=503,
            message="The card processor does not answer at present.",
            hint="Send the same form again in a moment; nothing is paid twice.",
            retry_after_s=RETRY_AFTER_S,
        )
        self.why = why


class PaymentsRefused(Fault):
    """The card processor understood a call and refused it.

    code    its own word for why
    of_key  it refused us, not the call: with another key the same call may be taken
    """

    def __init__(self, code: str, message: str, *, of_key: bool = False) -> None:
        super().__init__(f"card processor: {code}: {message}")
        self.code = code
        self.of_key = of_key


@dataclass(frozen=True, slots=True)
class Card:
    """A card as it may be shown and charged again.  method_id: the processor's name of it"""

    method_id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """One movement of our balance at the processor: net = cents - fee."""

    transaction_id: str
    kind: str
    cents: int
    fee_cents: int
    net_cents: int
    currency: str
    source_id: str
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class Payment:
    """A PaymentIntent as it stands.

    received_cents  what was really paid; refunded_cents: what of it went back
    top_up_id       which of our rows it says it is for; never trusted for an amount
    decline, why    how the last attempt was refused: the bank's code and the processor's words
    transaction     the movement of our balance, once it is known
    """

    payment_id: str
    status: str
    cents: int
    received_cents: int
    currency: str
    livemode: bool
    created_at_ms: int
    customer_id: str = ""
    top_up_id: str = ""
    charge_id: str = ""
    refunded_cents: int = 0
    disputed: bool = False
    decline: str = ""
    why: str = ""
    card: Card | None = None
    transaction: Transaction | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A hosted page on which one amount can be paid.  status: open, complete or expired"""

    session_id: str
    url: str
    status: str
    cents: int
    currency: str
    livemode: bool
    expires_at_ms: int
    top_up_id: str = ""
    payment: Payment | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """Money on its way back to a card.

    status      pending, requires_action, succeeded, failed or canceled
    refund_key  our own key of it, empty for one that we did not ask for
    """

    refund_id: str
    payment_id: str
    cents: int
    currency: str
    status: str
    refund_key: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Dispute:
    """A payment that the cardholder's bank took back.

    withdrawn_cents  what the processor took from our balance for it, fee left out
    fee_cents        what it charged for that, and fee_returned_cents what it gave back of it
    """

    dispute_id: str
    payment_id: str
    cents: int
    currency: str
    status: str
    reason: str
    due_at_ms: int | None
    withdrawn_cents: int
    fee_cents: int
    fee_returned_cents: int = 0


@dataclass(frozen=True, slots=True)
class CheckoutOrder:
    """What a hosted page is to be opened for.  keep_card: for payments without the customer"""

    top_up_id: str
    customer_id: str
    cents: int
    description: str
    receipt_email: str
    success_url: str
    cancel_url: str
    keep_card: bool
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class CardOrder:
    """A payment with a saved card, the customer not being there."""

    top_up_id: str
    customer_id: str
    method_id: str
    cents: int
    description: str
    receipt_email: str


@dataclass(frozen=True, slots=True)
class TransactionPage:
    """Movements of our balance, oldest first; has_more: newer ones are there."""

    transactions: tuple[Transaction, ...]
    has_more: bool


class Payments(Protocol):
    """The card processor.

    Every method may raise PaymentsAway, and PaymentsRefused for a call that cannot succeed as it
    is.  `find_` returns None for what is not there.
    """

    def ensure_customer(self, tenant_id: str, *, name: str, email: str) -> str: ...
    def open_checkout(self, order: CheckoutOrder) -> Session: ...
    def find_checkout(self, order: CheckoutOrder, *, since_ms: int) -> Session | None: ...
    def find_session(self, session_id: str) -> Session | None: ...
    def close_checkout(self, session_id: str) -> Session | None: ...
    def pay_with_card(self, order: CardOrder) -> Payment: ...
    def find_card_payment(self, order: CardOrder, *, since_ms: int) -> Payment | None: ...
    def find_payment(self, payment_id: str) -> Payment | None: ...
    def cancel_payment(self, payment_id: str) -> Payment | None: ...
    def find_payment_of_charge(self, charge_id: str) -> Payment | None: ...
    def forget_card(self, method_id: str) -> None: ...
    def refund(self, refund_key: str, payment_id: str, *, cents: int, reason: str) -> Refund: ...
    def find_refund_made(self, refund_key: str, payment_id: str) -> Refund | None: ...
    def find_refund(self, refund_id: str) -> Refund | None: ...
    def find_dispute(self, dispute_id: str) -> Dispute | None: ...
    def list_transactions(self, *, after_id: str, limit: int) -> TransactionPage: ...
    def balance_cents(self) -> int: ...
    def find_payout_of(self, transfer_id: str) -> tuple[str, bool]: ...
    def find_reversed_transfer(self, transaction_id: str) -> str: ...
    def is_signed(self, body: bytes, signature: str) -> bool: ...

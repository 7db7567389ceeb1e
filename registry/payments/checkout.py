"""What a payment at the processor means for a top-up of ours: a table of states, nothing else.

A top-up follows what was fetched, never what a webhook or a returning browser says.  Whatever the
order in which that is seen, money that came in leads to `succeeded`, and only what went back leads
away from it again.
"""

from dataclasses import dataclass
from enum import StrEnum

from protocol.clock import DAY_MS, MINUTE_MS, SECOND_MS
from protocol.money import MICROS_PER_CENT, MICROS_PER_UNIT
from registry.ledger.postings import NO_TAX, Tax
from registry.payments.provider import CURRENCY, Payment, Session

AMOUNT_MICROS_MIN = 5 * MICROS_PER_UNIT
AMOUNT_MICROS_MAX = 10_000 * MICROS_PER_UNIT
"""Of one payment by card; more comes by bank transfer."""

PAGE_LIFE_MS = DAY_MS - 10 * MINUTE_MS
"""How long a hosted page can be paid; the processor takes at most a day from its own clock."""

STARTED_PER_HOUR_MAX = 20
"""Hosted pages of one organization: whoever tries stolen cards needs many."""

CHECK_AGAIN_MS = 1_500
"""A page that polls asks the processor no more often than this."""


class State(StrEnum):
    """Where a top-up is."""

    CREATED = "created"
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    CHARGED_BACK = "charged_back"


class Seen(StrEnum):
    """What was seen at the processor."""

    OPEN = "open"
    PAID = "paid"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"
    DISPUTE_OPENED = "dispute_opened"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"


_UNPAID = (State.CREATED, State.PENDING, State.FAILED, State.CANCELED, State.EXPIRED)
_OPEN = (State.CREATED, State.PENDING)

MOVES: dict[tuple[State, Seen], State] = {
    (State.CREATED, Seen.OPEN): State.PENDING,
    **{(state, Seen.PAID): State.SUCCEEDED for state in _UNPAID},
    **{(state, Seen.FAILED): State.FAILED for state in _OPEN},
    **{(state, Seen.CANCELED): State.CANCELED for state in _OPEN},
    **{(state, Seen.EXPIRED): State.EXPIRED for state in _OPEN},
    (State.SUCCEEDED, Seen.REFUNDED): State.REFUNDED,
    (State.REFUNDED, Seen.REFUND_FAILED): State.SUCCEEDED,
    (State.SUCCEEDED, Seen.DISPUTE_OPENED): State.DISPUTED,
    (State.REFUNDED, Seen.DISPUTE_OPENED): State.DISPUTED,
    (State.DISPUTED, Seen.DISPUTE_WON): State.SUCCEEDED,
    (State.DISPUTED, Seen.DISPUTE_LOST): State.CHARGED_BACK,
}
"""What is not here changes nothing: it was seen too late, or twice."""

OPEN_STATES = frozenset(_OPEN)
PAID_STATES = frozenset(State) - frozenset(_UNPAID)


@dataclass(frozen=True, slots=True)
class TopUp:
    """A payment as our own row has it.

    kind            checkout or auto
    nonce           the key of the form; the same form is one top-up
    method_id       the saved card that is charged, for an automatic one
    session_id      the hosted page, payment_id the PaymentIntent: empty until they are known
    decline, why    how the last attempt was refused
    tax             what of it is tax, known once it is credited
    journal_id      the ledger's entry, once it is credited
    confirmed_at_ms when the processor first said that it is paid
    """

    top_up_id: str
    tenant_id: str
    kind: str
    nonce: str
    micros: int
    state: State
    asked_by: str
    receipt_email: str
    return_to: str
    keep_card: bool
    created_at_ms: int
    checked_at_ms: int
    method_id: str = ""
    session_id: str = ""
    session_url: str = ""
    payment_id: str = ""
    charge_id: str = ""
    decline: str = ""
    why: str = ""
    refunded_micros: int = 0
    tax: Tax = NO_TAX
    journal_id: int | None = None
    confirmed_at_ms: int | None = None

    @property
    def cents(self) -> int:
        """The amount as the processor counts it."""
        return cents_of(self.micros)

    @property
    def is_open(self) -> bool:
        """Whether it may still become money."""
        return self.state in OPEN_STATES

    @property
    def is_credited(self) -> bool:
        """Whether it stands in the ledger."""
        return self.journal_id is not None


def cents_of(micros: int) -> int:
    """Return whole cents; an amount that is none cannot be paid by card."""
    cents, rest = divmod(micros, MICROS_PER_CENT)
    assert rest == 0
    return cents


def micros_of(cents: int) -> int:
    """Return the micros of cents."""
    return cents * MICROS_PER_CENT


def moved(state: State, seen: Seen | None) -> State:
    """Return the state after something was seen."""
    return state if seen is None else MOVES.get((state, seen), state)


def seen_in(session: Session | None, payment: Payment | None) -> Seen | None:
    """Return what a hosted page and its payment, as they were fetched, say of a top-up.

    A card that was refused on an open page is not the end: the customer may try another one.
    """
    if payment is not None and payment.status == "succeeded":
        return Seen.PAID
    if session is None and payment is None:
        return None
    if session is not None and session.status == "expired":
        return Seen.EXPIRED
    if payment is not None and payment.status == "canceled":
        return Seen.CANCELED
    is_over = session is None or session.status == "complete"
    if is_over and payment is not None and payment.status in REFUSED:
        return Seen.FAILED
    return Seen.OPEN


REFUSED = frozenset({"requires_payment_method", "requires_action", "requires_confirmation"})
"""States of a payment that nobody works on any more unless the customer is there."""


def mismatch(top_up: TopUp, payment: Payment) -> str:
    """Return in words why a payment is not what this top-up asked for, or nothing."""
    if payment.currency != CURRENCY:
        return f"it is in {payment.currency}, not {CURRENCY}"
    if payment.cents != top_up.cents:
        return f"it is over {payment.cents} cents, not {top_up.cents}"
    if payment.status == "succeeded" and payment.received_cents != top_up.cents:
        return f"{payment.received_cents} cents came in, not {top_up.cents}"
    return ""


def check_after_ms(age_ms: int) -> int:
    """Return after how long an open top-up of this age is looked at again without being asked."""
    if age_ms < 10 * MINUTE_MS:
        return 30 * SECOND_MS
    return 5 * MINUTE_MS if age_ms < DAY_MS else 60 * MINUTE_MS

"""Paying by card: the form, the way back from the hosted page, and what was paid."""

from dataclasses import dataclass, field

from web.view_models.parts import Check, Choice, Form, Paging


@dataclass(frozen=True, slots=True)
class CheckoutPage:
    """GET, POST /billing/checkout.

    fields  amount (whole units, or "other"), other_amount, receipt_email, card ("once" or "keep"),
            return_to, idempotency_key
    cards   whether payments by card are set up; else the page says whom to ask
    transfer, reference  how to pay by bank transfer, and what the transfer must name
    """

    balance_micros: int
    cards: bool
    idempotency_key: str
    amounts: tuple[Choice, ...]
    keeping: tuple[Choice, ...]
    form: Form
    return_to: str
    transfer: str
    reference: str
    test: bool = False


@dataclass(frozen=True, slots=True)
class ReturnPage:
    """GET /billing/return?s=…; live part billing/_return.html until the payment has ended.

    steps     Received, Confirmed, Credited, each with how far it is
    verdict   tone, title and text of how it ended, or of what is waited for
    """

    now_ms: int
    live_url: str
    poll_s: int
    micros: int
    steps: tuple[Check, ...]
    verdict: tuple[str, str, str]
    is_open: bool
    again_url: str
    go_on_url: str
    ledger_id: int | None = None


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """One payment.  state: a top-up's, for its badge;  note: what else there is to say of it"""

    at_ms: int
    top_up_id: str
    what: str
    micros: int
    state: str
    refunded_micros: int
    note: str
    href: str
    organization: str = ""
    payment_id: str = ""
    refundable_micros: int = 0


@dataclass(frozen=True, slots=True)
class KeptCard:
    """A card that may be charged without the customer."""

    label: str
    expires: str


@dataclass(frozen=True, slots=True)
class PaymentsPage:
    """GET /billing/payments.

    fields of the rule  rule ("on" or "off"), threshold, amount (whole units)
    stopped             why automatic top-ups were stopped, or nothing
    """

    now_ms: int
    rows: tuple[PaymentRow, ...]
    paging: Paging
    card: KeptCard | None
    can_pay: bool
    cards: bool
    auto_on: bool
    rules: tuple[Choice, ...]
    stopped: str
    form: Form = field(default_factory=Form)

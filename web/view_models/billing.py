"""Balance, ledger, receipts, adding funds."""

from dataclasses import dataclass, field

from web.view_models.overview import Funds
from web.view_models.parts import Chart, Check, Choice, Fact, Form, Paging


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One entry of the account; exactly one of debit and credit is above zero.

    quantity, unit  the usage it charges (a meter), or None and nothing
    """

    at_ms: int
    what: str
    debit_micros: int
    credit_micros: int
    balance_after_micros: int
    href: str = ""
    quantity: int | None = None
    unit: str = ""
    receipt_href: str = ""
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class HeldRow:
    """Usage reported but not yet verified: held, not charged."""

    node: str
    micros: int
    since_at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class StopRow:
    """What stops when the balance is used up, in this order."""

    name: str
    href: str
    micros_per_hour: int
    stops_at_ms: int | None


@dataclass(frozen=True, slots=True)
class BalancePage:
    """GET /billing; live part billing/_balance.html."""

    now_ms: int
    live_url: str
    funds: Funds
    stops: tuple[StopRow, ...]
    recent: tuple[LedgerRow, ...]
    can_pay: bool
    spend: Chart | None = None
    pay_owner: str = ""


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """GET /billing/ledger, newest first."""

    now_ms: int
    rows: tuple[LedgerRow, ...]
    held: tuple[HeldRow, ...] = ()
    paging: Paging = field(default_factory=Paging)
    csv_url: str | None = None


@dataclass(frozen=True, slots=True)
class ReceiptPage:
    """GET /billing/receipts/{origin}/{index}.

    checks  each step of the proof in plain words and whether it holds
    entry   the record as it stands in the node's log, name by name
    """

    origin: str
    index: int
    size: int
    node: str
    owner: str
    owner_kind: str
    owner_href: str
    from_at_ms: int
    to_at_ms: int
    quantity: int
    unit: str
    price: str
    micros: int
    verified: bool
    checks: tuple[Check, ...]
    entry: tuple[Fact, ...]
    raw_url: str
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One signed record behind a charge; micros is what it comes to by its price."""

    index: int
    owner: str
    owner_kind: str
    owner_href: str
    from_at_ms: int
    to_at_ms: int
    quantity: int
    unit: str
    micros: int
    href: str


@dataclass(frozen=True, slots=True)
class RecordsPage:
    """GET /billing/ledger/{journal}/receipt, where the line sums several records.

    rows            the first of `count` records
    micros          what all of them come to
    charged_micros  what the line charges; the rest is borne by us
    """

    at_ms: int
    node: str
    rows: tuple[RecordRow, ...]
    count: int
    micros: int
    charged_micros: int


@dataclass(frozen=True, slots=True)
class AddFundsPage:
    """GET, POST /billing/add-funds.

    fields  amount (whole units of the currency, or "other"), other_amount, return_to,
            idempotency_key
    demo    the payment is simulated and says so; without it the page tells how to transfer money
    transfer, reference  the words for that, and what the transfer must name
    """

    balance_micros: int
    idempotency_key: str
    amounts: tuple[Choice, ...]
    form: Form = field(default_factory=Form)
    demo: bool = False
    return_to: str = "/billing"
    transfer: str = ""
    reference: str = ""

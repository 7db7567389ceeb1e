"""What pays a site: a bank by hand, or a payment provider."""

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class PayoutOrder:
    """What is to be paid.

    payout_id    the same order has the same id: it must be paid once, however often it is sent
    micros       whole cents
    destination  as it was set for the site: an account at the bank or at the provider
    """

    payout_id: str
    site_id: str
    micros: int
    destination: str
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class PayoutAnswer:
    """What became of an order.

    outcome    waiting: nothing is known yet; ask again.  refused: it will not be paid
    reference  by which whoever pays knows it
    why        a refusal, in words
    """

    outcome: Literal["waiting", "paid", "refused"]
    reference: str = ""
    why: str = ""


class PayoutSender(Protocol):
    """Pays orders.  `send` may be called again for the same order at any time, and pays it once.

    name     how destinations name it: `bank`, `stripe`
    account  the account of the ledger that pays
    """

    @property
    def name(self) -> str: ...
    @property
    def account(self) -> str: ...
    def send(self, order: PayoutOrder) -> PayoutAnswer: ...

"""What the pages of payments by card are handed."""

from dataclasses import dataclass

from registry.payments.provider import Payments

EXTENSION = "outstation-cards"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a payer comes back to.  base_url: of this registry"""

    base_url: str

    def back(self, top_up_id: str) -> str:
        return f"{self.base_url}/billing/return?s={top_up_id}"

    def cancelled(self, top_up_id: str) -> str:
        return f"{self.back(top_up_id)}&cancelled=1"


@dataclass(frozen=True, slots=True)
class Cards:
    """What paying by card needs.  payments: None where that is not set up

    checkout_origin  where the hosted pages are: the one place our form may lead to
    livemode         whether real money moves
    """

    payments: Payments | None
    addresses: Addresses
    checkout_origin: str
    livemode: bool

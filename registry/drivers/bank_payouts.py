"""Pays sites by a bank, by hand: an operator makes the transfer and says so."""

from dataclasses import dataclass

from registry.ledger.account_names import BANK
from registry.payouts.sender import PayoutAnswer, PayoutOrder


@dataclass(frozen=True, slots=True)
class BankPayouts:
    """Leaves every order waiting for `outstation-registry payout paid`."""

    name: str = "bank"
    account: str = BANK

    def send(self, _order: PayoutOrder) -> PayoutAnswer:
        """Say that nothing is known yet: the operator will."""
        return PayoutAnswer("waiting")

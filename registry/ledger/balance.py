"""What a tenant has, and how the ledger's rows look to who reads them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Balance:
    """What a tenant has.

    wallet, promo  paid in and granted, less what was spent
    owed           spent on credit
    held           what open leases may still take
    frozen         kept back while a payment is disputed: in none of the sums below
    """

    wallet: int
    promo: int
    owed: int
    credit_limit: int
    held: int
    frozen: int = 0

    @property
    def total(self) -> int:
        """What is left to the tenant, held or not; below zero it owes."""
        return self.wallet + self.promo - self.owed

    @property
    def available(self) -> int:
        """What may still be promised to a node."""
        return self.total + self.credit_limit - self.held


@dataclass(frozen=True, slots=True)
class Line:
    """One journal as its tenant sees it: above zero it came in, below it went out."""

    journal_id: int
    src: str
    kind: str
    at_ms: int
    ref: str
    memo: str
    meter: str
    quantity: int | None
    micros: int
    balance_after: int


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account as it stands in its row."""

    name: str
    tenant_id: str | None
    spendable: bool
    balance: int
    held: int


@dataclass(frozen=True, slots=True)
class TaxRate:
    """The tax that a tenant's payments hold, in 1/10,000 of what is left without it."""

    jurisdiction: str
    basis_points: int

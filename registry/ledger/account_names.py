"""Every account there is: A assets, L liabilities, I income, X expenses.

A posting above zero is a debit, below zero a credit; what we owe (L) and earn (I) is therefore
negative in the books and shown with its sign turned.
"""

BANK = "A:bank"
STRIPE = "A:stripe"
BREAKAGE = "I:breakage"
PROMO_EXPENSE = "X:promo"
SITE_SHARE = "X:siteshare"
FEE = "X:fee"
OVERRUN = "X:overrun"
LATE = "X:late"
BAD_DEBT = "X:baddebt"

SPENDABLE_PREFIXES = ("L:wallet:", "L:promo:", "A:recv:")
"""What a tenant may spend is the sum over these, signs turned, and the credit limit."""

TENANT_PREFIXES = (*SPENDABLE_PREFIXES, "L:frozen:")

NEVER_BELOW_ZERO = (
    *("L:wallet:", "L:promo:", "L:frozen:", "L:site:", "L:sitehold:", "L:tax:"),
    *("A:recv:", "A:dispute:", "A:siterecv:"),
)
"""What is held for somebody, or owed by somebody, is never less than nothing."""


def wallet(tenant_id: str) -> str:
    """Return the account of what a tenant has paid in and not spent."""
    return f"L:wallet:{tenant_id}"


def promo(tenant_id: str, grant: str) -> str:
    """Return the account of one promotional grant."""
    return f"L:promo:{tenant_id}:{grant}"


def receivable(tenant_id: str) -> str:
    """Return the account of what a tenant owes, inside its credit limit."""
    return f"A:recv:{tenant_id}"


def frozen(tenant_id: str) -> str:
    """Return the account of what a tenant may not spend while a payment is disputed."""
    return f"L:frozen:{tenant_id}"


def dispute(dispute_id: str) -> str:
    """Return the account of what a bank took back and may have to return."""
    return f"A:dispute:{dispute_id}"


def tax(jurisdiction: str) -> str:
    """Return the account of tax taken in for an authority."""
    return f"L:tax:{jurisdiction}"


def site_hold(site_id: str) -> str:
    """Return the account of a site's share that is still maturing."""
    return f"L:sitehold:{site_id}"


def site(site_id: str) -> str:
    """Return the account of a site's share that can be paid out."""
    return f"L:site:{site_id}"


def site_receivable(site_id: str) -> str:
    """Return the account of what a site was paid and has to give back."""
    return f"A:siterecv:{site_id}"


def usage_income(usage_class: str) -> str:
    """Return the account of what usage of a class brings in."""
    return f"I:usage:{usage_class}"


def tenant_of(name: str) -> str | None:
    """Return whose account it is, or None for one that is no tenant's."""
    if name.startswith(TENANT_PREFIXES):
        return name.split(":")[2]
    return None


def is_spendable(name: str) -> bool:
    """Whether the account counts to what its tenant may spend."""
    return name.startswith(SPENDABLE_PREFIXES)


def is_below_zero(name: str, balance: int) -> bool:
    """Whether a balance, debits above zero, says that somebody holds or owes less than nothing."""
    if not name.startswith(NEVER_BELOW_ZERO):
        return False
    return balance > 0 if name.startswith("L:") else balance < 0

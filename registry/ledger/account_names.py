"""Every account there is: A assets, L liabilities, I income, X expenses.

A posting above zero is a debit, below zero a credit; what we owe (L) and earn (I) is therefore
negative in the books and shown with its sign turned.
"""

BANK = "A:bank"
STRIPE = "A:stripe"
PROMO_EXPENSE = "X:promo"
SITE_SHARE = "X:siteshare"
OVERRUN = "X:overrun"
LATE = "X:late"

SPENDABLE_PREFIXES = ("L:wallet:", "L:promo:", "A:recv:")
"""What a tenant may spend is the sum over these, signs turned, and the credit limit."""

TENANT_PREFIXES = (*SPENDABLE_PREFIXES, "L:frozen:")


def wallet(tenant_id: str) -> str:
    """Return the account of what a tenant has paid in and not spent."""
    return f"L:wallet:{tenant_id}"


def promo(tenant_id: str, grant: str) -> str:
    """Return the account of one promotional grant."""
    return f"L:promo:{tenant_id}:{grant}"


def receivable(tenant_id: str) -> str:
    """Return the account of what a tenant owes, inside its credit limit."""
    return f"A:recv:{tenant_id}"


def site_hold(site_id: str) -> str:
    """Return the account of a site's share that is still maturing."""
    return f"L:sitehold:{site_id}"


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

"""The tax in what goes back of a payment: parts of it never come to more or less than the whole."""

from registry.ledger.postings import NO_TAX, Journal, Tax

TAX = "L:tax:"


def tax_back(paid: Journal, *, before: int, micros: int) -> Tax:
    """Return the tax in `micros` of a payment of which `before` went back already.

    Rounded down and telescoped: however a payment is cut into refunds, their tax adds up to its.
    """
    legs = [(account, -amount) for account, amount in paid.postings if account.startswith(TAX)]
    if not legs:
        return NO_TAX
    ((account, tax),) = legs
    whole = sum(amount for _, amount in paid.postings if amount > 0)
    assert 0 <= before <= before + micros <= whole
    within = tax * (before + micros) // whole - tax * before // whole
    return Tax(account.removeprefix(TAX), within) if within else NO_TAX

"""The tax in what goes back of a payment: parts of it never come to more or less than the whole."""

from registry.ledger.postings import NO_TAX, Tax


def tax_back(tax: Tax, *, whole: int, before: int, micros: int) -> Tax:
    """Return the tax in `micros` of a payment of which `before` went back already.

    tax, whole  of the payment, in micros

    Rounded down and telescoped: however a payment is cut into refunds, their tax adds up to its.
    """
    assert 0 <= before <= before + micros <= whole
    within = tax.micros * (before + micros) // whole - tax.micros * before // whole
    return Tax(tax.jurisdiction, within) if within else NO_TAX

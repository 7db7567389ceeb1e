"""Journals that balance, built and nothing else: the only shapes in which money moves."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from protocol.money import MICROS_PER_CENT
from registry.ledger import account_names

BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class Journal:
    """One step of the books: postings (account, micros) that sum to zero.

    src              business key; the same one is posted once
    ref, memo        what it is about: an id, a sentence
    meter, quantity  the usage it charges, where it is usage of one meter
    """

    src: str
    kind: str
    at_ms: int
    postings: tuple[tuple[str, int], ...]
    ref: str = ""
    memo: str = ""
    meter: str = ""
    quantity: int | None = None


@dataclass(frozen=True, slots=True)
class Purse:
    """What a tenant can pay with, in the order in which it is taken.

    promos  (account, micros left), the grant that expires first coming first
    credit  what may still be owed: the credit limit less what is owed already
    """

    tenant_id: str
    promos: tuple[tuple[str, int], ...]
    wallet: int
    credit: int


@dataclass(frozen=True, slots=True)
class UsageCharge:
    """What a tenant's usage in one batch came to, rated and clamped to its leases.

    by_class        rated micros by class of usage: charged + overrun + late
    charged         within leases: the tenant's to pay
    overrun, late   beyond a lease, or after it or the allocation ended: never the tenant's
    share, site_id  what of `charged` the site earns
    """

    by_class: Mapping[str, int]
    charged: int
    overrun: int
    late: int
    share: int = 0
    site_id: str = ""
    ref: str = ""
    memo: str = ""
    meter: str = ""
    quantity: int | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Tax:
    """Tax that is part of a payment: for which jurisdiction, and how much."""

    jurisdiction: str
    micros: int


NO_TAX = Tax("", 0)


def tax_within(micros: int, basis_points: int) -> int:
    """Return the tax that a payment holds at this rate, down to whole cents: what a tenant pays
    is the whole sum, tax included."""
    assert micros >= 0
    assert 0 <= basis_points <= BASIS_POINTS
    exact = micros * basis_points // (BASIS_POINTS + basis_points)
    return whole_cents(exact)


def whole_cents(micros: int) -> int:
    """Return micros down to whole cents: cards and banks move nothing smaller."""
    assert micros >= 0
    return micros // MICROS_PER_CENT * MICROS_PER_CENT


def top_up(
    *,
    src: str,
    tenant_id: str,
    micros: int,
    at_ms: int,
    into: str = account_names.BANK,
    memo: str,
    tax: Tax = NO_TAX,
    ref: str = "",
) -> Journal:
    """Money came in: the tenant's wallet grows by it, less the tax that is in it."""
    assert 0 <= tax.micros < micros
    postings = {into: micros, account_names.wallet(tenant_id): tax.micros - micros}
    if tax.micros:
        postings[account_names.tax(tax.jurisdiction)] = -tax.micros
    return balanced(src=src, kind="top_up", at_ms=at_ms, postings=postings, memo=memo, ref=ref)


def promo_grant(
    *, src: str, tenant_id: str, grant: str, micros: int, at_ms: int, memo: str
) -> Journal:
    """A grant is given: spent before the wallet, paid for by us."""
    assert micros > 0
    account = account_names.promo(tenant_id, grant)
    postings = {account_names.PROMO_EXPENSE: micros, account: -micros}
    return balanced(src=src, kind="promo", at_ms=at_ms, postings=postings, memo=memo)


def promo_expiry(
    *, src: str, tenant_id: str, grant: str, micros: int, at_ms: int, memo: str
) -> Journal:
    """What was left of a grant when it expired is no longer owed."""
    assert micros > 0
    postings = {account_names.promo(tenant_id, grant): micros, account_names.BREAKAGE: -micros}
    return balanced(src=src, kind="expiry", at_ms=at_ms, postings=postings, memo=memo)


def netting(
    *, src: str, tenant_id: str, wallet: int, owed: int, at_ms: int, ref: str = ""
) -> Journal | None:
    """What a tenant owes is paid from its wallet, so that it never has both; None if it has not.

    wallet, owed  as they stand; one that a correction drove below zero becomes the other
    """
    moved = min(wallet, owed)
    if moved == 0:
        return None
    postings = {account_names.wallet(tenant_id): moved, account_names.receivable(tenant_id): -moved}
    memo = "Paid what was owed"
    return balanced(src=src, kind="netting", at_ms=at_ms, postings=postings, memo=memo, ref=ref)


def write_off(
    *, src: str, tenant_id: str, micros: int, owed: int, at_ms: int, memo: str
) -> Journal:
    """What a tenant owes will not be paid: our loss."""
    assert 0 < micros <= owed
    postings = {account_names.BAD_DEBT: micros, account_names.receivable(tenant_id): -micros}
    return balanced(src=src, kind="write_off", at_ms=at_ms, postings=postings, memo=memo)


def usage(*, src: str, at_ms: int, purse: Purse, charge: UsageCharge) -> Journal:
    """Usage is paid: promo first, then wallet, then credit; the rest is our loss, as is what no
    lease covered."""
    assert sum(charge.by_class.values()) == charge.charged + charge.overrun + charge.late
    assert 0 <= charge.share <= charge.charged
    postings: dict[str, int] = {}
    left = charge.charged
    sources = (
        *purse.promos,
        (account_names.wallet(purse.tenant_id), purse.wallet),
        (account_names.receivable(purse.tenant_id), purse.credit),
    )
    for account, available in sources:
        taken = min(left, max(available, 0))
        postings[account] = taken
        left -= taken
    postings[account_names.OVERRUN] = charge.overrun + left
    postings[account_names.LATE] = charge.late
    for usage_class, micros in charge.by_class.items():
        postings[account_names.usage_income(usage_class)] = -micros
    if charge.share:
        postings[account_names.SITE_SHARE] = charge.share
        postings[account_names.site_hold(charge.site_id)] = -charge.share
    return balanced(
        src=src,
        kind="usage",
        at_ms=at_ms,
        postings=postings,
        ref=charge.ref,
        memo=charge.memo,
        meter=charge.meter,
        quantity=charge.quantity,
    )


def correction(original: Journal, *, src: str, at_ms: int, memo: str) -> Journal:
    """The original is undone, leg by leg; the right entry, if any, is a journal of its own."""
    postings = {account: -micros for account, micros in original.postings}
    return balanced(
        src=src, kind="correction", at_ms=at_ms, postings=postings, ref=original.src, memo=memo
    )


def site_share(basis_points: int, *, before: int, after: int) -> int:
    """Return what a site earns of a stream that was charged from `before` to `after` micros."""
    assert 0 <= basis_points <= BASIS_POINTS
    assert 0 <= before <= after
    return after * basis_points // BASIS_POINTS - before * basis_points // BASIS_POINTS


def off_balance(postings: Iterable[tuple[str, int]]) -> int:
    """Return by how much postings miss zero; debits are above it."""
    return sum(micros for _, micros in postings)


def balanced(
    *,
    src: str,
    kind: str,
    at_ms: int,
    postings: Mapping[str, int],
    ref: str = "",
    memo: str = "",
    meter: str = "",
    quantity: int | None = None,
) -> Journal:
    """Return a journal of the postings that are not zero; together they must be."""
    legs = tuple((account, micros) for account, micros in postings.items() if micros)
    assert off_balance(legs) == 0
    return Journal(
        src=src,
        kind=kind,
        at_ms=at_ms,
        postings=legs,
        ref=ref,
        memo=memo,
        meter=meter,
        quantity=quantity,
    )

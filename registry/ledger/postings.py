"""Journals that balance, built and nothing else: the only shapes in which money moves."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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


def top_up(
    *, src: str, tenant_id: str, micros: int, at_ms: int, into: str = account_names.BANK, memo: str
) -> Journal:
    """Money came in: the tenant's wallet grows by it."""
    assert micros > 0
    postings = {into: micros, account_names.wallet(tenant_id): -micros}
    return _balanced(src=src, kind="top_up", at_ms=at_ms, postings=postings, memo=memo)


def promo_grant(
    *, src: str, tenant_id: str, grant: str, micros: int, at_ms: int, memo: str
) -> Journal:
    """A grant is given: spent before the wallet, paid for by us."""
    assert micros > 0
    account = account_names.promo(tenant_id, grant)
    postings = {account_names.PROMO_EXPENSE: micros, account: -micros}
    return _balanced(src=src, kind="promo", at_ms=at_ms, postings=postings, memo=memo)


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
    return _balanced(
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
    return _balanced(
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


def _balanced(
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

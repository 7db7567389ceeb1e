"""Money that the correction of a record returns to its tenant."""

from dataclasses import dataclass

from registry.ledger.account_names import SITE_SHARE, site_hold, usage_income, wallet
from registry.ledger.postings import Journal, UsageCharge

CORRECTION_PREFIX = "adj:"


@dataclass(frozen=True, slots=True)
class GivenBack:
    """What the correction in entry `index` gives back, as a charge below zero."""

    index: int
    tenant_id: str
    charge: UsageCharge


def correction_src(origin: str, index: int) -> str:
    """Return the business key of a correction: the entry that states it."""
    return f"{CORRECTION_PREFIX}{origin}:{index}"


def correction_journal(given: GivenBack, *, origin: str, reason: str, at_ms: int) -> Journal:
    """Undo a part of what was charged: income and the site's share fall, the wallet grows.

    Whatever paid at first, it comes back to the wallet, where the tenant may spend it.
    """
    charge = given.charge
    assert charge.charged < 0
    assert charge.charged <= charge.share <= 0
    postings = {
        **{usage_income(name): -micros for name, micros in charge.by_class.items()},
        wallet(given.tenant_id): charge.charged,
        SITE_SHARE: charge.share,
        site_hold(charge.site_id): -charge.share,
    }
    return Journal(
        src=correction_src(origin, given.index),
        kind="correction",
        at_ms=at_ms,
        postings=tuple((name, micros) for name, micros in postings.items() if micros),
        ref=charge.ref,
        memo=f"{charge.memo}: {reason}",
        meter=charge.meter,
        quantity=charge.quantity,
    )

"""What operators told the books, kept beside them: the journal of each follows from it alone.

A payment by bank, a grant, a debt written off, a charge set right: nothing outside the registry
knows of them, so that the row with the same `src` is what a journal is checked against.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from registry.ledger.account_names import BANK, SITE_SHARE, site_hold, usage_income
from registry.ledger.payment_postings import refund
from registry.ledger.postings import (
    NO_TAX,
    Journal,
    Purse,
    Tax,
    UsageCharge,
    correction,
    promo_grant,
    top_up,
    usage,
    write_off,
)
from registry.ledger.site_postings import clawback

RIGHT_ENTRY = "right_entry"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One instruction of an operator.

    kind     as in the table
    micros   how much, tax included; 0 for a correction, which turns what it refers to
    share    what the site earns of a charge that was set right
    amounts  a charge that was set right: micros by class of usage
    ref      the journal that is set right
    made_by  the person, or `console`
    """

    src: str
    kind: str
    at_ms: int
    tenant_id: str = ""
    site_id: str = ""
    micros: int = 0
    tax: Tax = NO_TAX
    share: int = 0
    grant: str = ""
    expires_at_ms: int | None = None
    amounts: str = ""
    ref: str = ""
    memo: str = ""
    made_by: str = ""


@dataclass(frozen=True, slots=True)
class Stand:
    """What an instruction meets in the books: it says which of two accounts pays, never how much.

    purse    what the tenant can pay with
    owed     what the tenant owes
    payable  what the site's account holds
    """

    purse: Purse
    owed: int = 0
    payable: int = 0


def adjustment_journal(made: Adjustment, stand: Stand, original: Journal | None = None) -> Journal:
    """Return the journal that follows from an instruction.

    original  for a correction: what it turns
    """
    if made.kind == "correction":
        assert original is not None
        return correction(original, src=made.src, at_ms=made.at_ms, memo=made.memo)
    return _JOURNALS[made.kind](made, stand)


def amounts_text(amounts: Mapping[str, int]) -> str:
    """Return micros by class of usage as one line: `gpu=5 inference=7`."""
    return " ".join(f"{name}={micros}" for name, micros in sorted(amounts.items()))


def read_amounts(text: str) -> dict[str, int]:
    """Return micros by class of usage, read back from `amounts_text`."""
    pairs = (word.split("=") for word in text.split())
    return {name: int(micros) for name, micros in pairs}


def income_of(journal: Journal) -> dict[str, int]:
    """Return what a usage journal brought in, by class of usage."""
    prefix = usage_income("")
    return {
        account.removeprefix(prefix): -micros
        for account, micros in journal.postings
        if account.startswith(prefix)
    }


def share_of(journal: Journal) -> tuple[str, int]:
    """Return the site that a journal earns a share for, and the share; ("", 0) for none.

    Below zero the share is taken back.
    """
    prefix = site_hold("")
    for account, micros in journal.postings:
        if account.startswith(prefix) and dict(journal.postings).get(SITE_SHARE):
            return account.removeprefix(prefix), -micros
    return "", 0


def _payment(made: Adjustment, _stand: Stand) -> Journal:
    return top_up(
        src=made.src,
        tenant_id=made.tenant_id,
        micros=made.micros,
        at_ms=made.at_ms,
        into=BANK,
        memo=made.memo,
        tax=made.tax,
    )


def _refund(made: Adjustment, stand: Stand) -> Journal:
    return refund(
        src=made.src,
        tenant_id=made.tenant_id,
        micros=made.micros,
        wallet=stand.purse.wallet,
        at_ms=made.at_ms,
        memo=made.memo,
        tax=made.tax,
        out_of=BANK,
    )


def _promo(made: Adjustment, _stand: Stand) -> Journal:
    return promo_grant(
        src=made.src,
        tenant_id=made.tenant_id,
        grant=made.grant,
        micros=made.micros,
        at_ms=made.at_ms,
        memo=made.memo,
    )


def _write_off(made: Adjustment, stand: Stand) -> Journal:
    return write_off(
        src=made.src,
        tenant_id=made.tenant_id,
        micros=made.micros,
        owed=stand.owed,
        at_ms=made.at_ms,
        memo=made.memo,
    )


def _clawback(made: Adjustment, stand: Stand) -> Journal:
    return clawback(
        src=made.src,
        site_id=made.site_id,
        micros=made.micros,
        payable=stand.payable,
        at_ms=made.at_ms,
        memo=made.memo,
    )


def _right_entry(made: Adjustment, stand: Stand) -> Journal:
    """A charge as it should have been: paid and shared like usage, under a kind of its own."""
    charge = UsageCharge(
        by_class=read_amounts(made.amounts),
        charged=made.micros,
        overrun=0,
        late=0,
        share=made.share,
        site_id=made.site_id,
        ref=made.ref,
        memo=made.memo,
    )
    entry = usage(src=made.src, at_ms=made.at_ms, purse=stand.purse, charge=charge)
    return replace(entry, kind=RIGHT_ENTRY)


_JOURNALS: dict[str, Callable[[Adjustment, Stand], Journal]] = {
    "bank_payment": _payment,
    "demo_payment": _payment,
    "bank_refund": _refund,
    "promo": _promo,
    RIGHT_ENTRY: _right_entry,
    "write_off": _write_off,
    "clawback": _clawback,
}

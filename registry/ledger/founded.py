"""Whether each journal follows from something outside the books, and each such thing is booked.

Usage follows from logs and is checked with them.  The rest follows from instructions of operators,
from what payment providers and payouts say (handed in as the journals they come to), or from other
journals: debts paid, grants expired, shares matured and taken back.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from registry.ledger.account_names import (
    BREAKAGE,
    OVERRUN,
    is_spendable,
    promo,
    receivable,
    site,
    site_hold,
    site_receivable,
    tenant_of,
    wallet,
)
from registry.ledger.adjustments import (
    RIGHT_ENTRY,
    Adjustment,
    Stand,
    adjustment_journal,
    read_amounts,
    share_of,
)
from registry.ledger.audit import Problem
from registry.ledger.postings import Journal, Purse

FROM_LOGS = ("log:", "adj:")
"""How the business keys begin of journals that are checked with the logs."""

BALANCE_DECIDES = frozenset(
    {"refund", "dispute_opened", "dispute_lost", "write_off", "clawback", "maturity", RIGHT_ENTRY}
)
"""Kinds whose postings say which of two accounts paid: what was there at that moment decided."""


@dataclass(slots=True)
class Founding:
    """Takes journals in, oldest first, and keeps what the others follow from.

    adjustments  every instruction
    maturities   up to where shares matured each time, oldest first
    expected     by business key: the journals that later rooms' rows come to
    """

    adjustments: Mapping[str, Adjustment]
    maturities: Sequence[int]
    expected: Mapping[str, Journal] = field(default_factory=dict)
    _kept: dict[str, Journal] = field(default_factory=dict)
    _shares: dict[tuple[str, int], int] = field(default_factory=dict)

    def add(self, journal: Journal) -> None:
        """Take a journal in."""
        if journal.kind in ("usage", RIGHT_ENTRY):
            self._count_share(journal, journal.at_ms, sign=1)
        if journal.kind != "usage" or f"undo:{journal.src}" in self.adjustments:
            self._kept[journal.src] = journal

    def problems(self) -> list[Problem]:
        """Return which journals follow from nothing, from something else, or are missing."""
        found = [
            *(self._problem(one) for one in self._kept.values() if one.kind != "usage"),
            *self._missing(),
            *self._shares_unmatured(),
        ]
        return [problem for problem in found if problem is not None]

    def _problem(self, journal: Journal) -> Problem | None:
        if journal.src.startswith(FROM_LOGS):
            return None
        wanted = self._wanted(journal)
        if wanted is None:
            return Problem("journal_unfounded", journal.src, "Nothing leads to this journal.")
        if not _is_same(journal, wanted):
            return Problem(
                "journal_wrong", journal.src, f"It should post {_summed(wanted)}, {wanted.kind}."
            )
        return None

    def _wanted(self, journal: Journal) -> Journal | None:
        """Return what a journal should be; None where nothing leads to it."""
        if journal.src in self.expected:
            return self.expected[journal.src]
        if journal.src in self.adjustments:
            return self._adjusted(self.adjustments[journal.src])
        if journal.kind == "netting":
            return self._netting(journal)
        if journal.kind == "expiry":
            return self._expiry(journal)
        if journal.kind == "maturity":
            return self._maturity(journal)
        return self._taken_back(journal) if journal.kind == "clawback" else None

    def _adjusted(self, made: Adjustment) -> Journal | None:
        original = self._kept.get(made.ref)
        if made.kind == "correction" and original is None:
            return None
        if made.kind != "correction" and made.micros <= made.tax.micros:
            return None
        if made.kind == RIGHT_ENTRY and sum(read_amounts(made.amounts).values()) != made.micros:
            return None
        endless = Purse(made.tenant_id, (), made.micros, 0)
        return adjustment_journal(made, Stand(endless, made.micros, made.micros), original)

    def _netting(self, journal: Journal) -> Journal | None:
        """A debt and a wallet meet after something happened: the sum is what it says."""
        tenant = next((tenant_of(account) for account, _ in journal.postings), None)
        if tenant is None or journal.src != f"netting:{journal.ref}":
            return None
        cause = self._kept.get(journal.ref)
        allowed = {wallet(tenant), receivable(tenant)}
        if cause is None or {account for account, _ in journal.postings} != allowed:
            return None
        return journal

    def _expiry(self, journal: Journal) -> Journal | None:
        """A grant expired, not before its time; how much was left is its account's to say."""
        tenant_id, _, name = journal.src.removeprefix("expiry:").partition(":")
        grant = self.adjustments.get(f"promo:{tenant_id}:{name.rpartition(':')[0]}")
        if grant is None or grant.expires_at_ms is None or grant.expires_at_ms > journal.at_ms:
            return None
        accounts = {promo(tenant_id, grant.grant), BREAKAGE}
        return journal if {account for account, _ in journal.postings} == accounts else None

    def _maturity(self, journal: Journal) -> Journal | None:
        """What a site's share of a time came to, less what was undone of it before it matured."""
        site_id, _, window = journal.src.removeprefix("maturity:").partition(":")
        begin, _, end = window.partition("-")
        if not end.isdigit() or int(end) not in self.maturities:
            return None
        place = self.maturities.index(int(end))
        if begin != str(self.maturities[place - 1] if place else 0):
            return None
        micros = self._shares.get((site_id, place), 0) - self._undone(site_id, place)
        return _posted(journal, {site_hold(site_id): micros, site(site_id): -micros})

    def _taken_back(self, journal: Journal) -> Journal | None:
        """A correction drew on a hold that its share had left."""
        cause = self._kept.get(journal.ref)
        if cause is None or cause.kind != "correction":
            return None
        site_id, share = share_of(cause)
        return _posted(journal, {site_hold(site_id): share, site(site_id): -share})

    def _count_share(self, journal: Journal, at_ms: int, *, sign: int) -> None:
        site_id, share = share_of(journal)
        if share:
            key = (site_id, bisect_right(self.maturities, at_ms))
            self._shares[key] = self._shares.get(key, 0) + sign * share

    def _undone(self, site_id: str, place: int) -> int:
        """Return what was undone of a site's share before it matured."""
        return sum(
            share_of(original)[1]
            for correction, original in self._corrections()
            if share_of(original)[0] == site_id
            and bisect_right(self.maturities, original.at_ms) == place
            and f"clawback:{correction.src}" not in self._kept
        )

    def _corrections(self) -> Iterable[tuple[Journal, Journal]]:
        for made in self.adjustments.values():
            original, correction = self._kept.get(made.ref), self._kept.get(made.src)
            if made.kind == "correction" and original is not None and correction is not None:
                yield correction, original

    def _missing(self) -> Iterable[Problem]:
        for src in sorted(self.adjustments.keys() | self.expected.keys()):
            if src not in self._kept:
                yield Problem("journal_missing", src, "What leads to this journal is not booked.")

    def _shares_unmatured(self) -> Iterable[Problem]:
        """A share whose time has come has a journal."""
        for (site_id, place), micros in sorted(self._shares.items()):
            if place == len(self.maturities) or micros == self._undone(site_id, place):
                continue
            begin = self.maturities[place - 1] if place else 0
            src = f"maturity:{site_id}:{begin}-{self.maturities[place]}"
            if src not in self._kept:
                yield Problem("journal_missing", src, f"{micros} of a share did not mature.")


def _posted(journal: Journal, postings: Mapping[str, int]) -> Journal:
    """Return a journal like this one with the postings it should have."""
    return Journal(journal.src, journal.kind, journal.at_ms, tuple(postings.items()))


def _is_same(journal: Journal, wanted: Journal) -> bool:
    if journal.kind != wanted.kind or journal.at_ms != wanted.at_ms:
        return False
    if journal.kind in BALANCE_DECIDES:
        return _summed(journal) == _summed(wanted)
    return sorted(journal.postings) == sorted(wanted.postings)


def _summed(journal: Journal) -> dict[str, int]:
    """Return postings with what one party bears as one sum, whichever of its accounts paid."""
    sums: dict[str, int] = {}
    for account, micros in journal.postings:
        name = account
        if is_spendable(account) or account.startswith("L:frozen:") or account == OVERRUN:
            name = "tenant"
        elif account.startswith((site(""), site_receivable(""))):
            name = "site"
        sums[name] = sums.get(name, 0) + micros
    return {name: micros for name, micros in sums.items() if micros}

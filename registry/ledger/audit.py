"""A check of the books against themselves: every journal balances, every account is its sum."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from registry.ledger.account_names import is_below_zero
from registry.ledger.postings import Journal, off_balance


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing in the books that is wrong: which rule, where, and what was found."""

    code: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class BooksReport:
    """What a check found."""

    journals: int
    accounts: int
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class Tally:
    """Sums that grow journal by journal."""

    journals: int = 0
    total: int = 0
    balances: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, journal: Journal) -> None:
        """Count a journal in."""
        self.journals += 1
        missed = off_balance(journal.postings)
        self.total += missed
        if missed:
            self.problems.append(
                Problem("journal_off_balance", journal.src, f"Its postings sum to {missed}.")
            )
        if not journal.postings:
            self.problems.append(Problem("journal_empty", journal.src, "It has no postings."))
        for account, micros in journal.postings:
            self.balances[account] = self.balances.get(account, 0) + micros


def checked_books(journals: Iterable[Journal], balances: Mapping[str, int]) -> BooksReport:
    """Return what is wrong between journals and the rows of accounts.

    balances  what each account's row says
    """
    tally = Tally()
    for journal in journals:
        tally.add(journal)
    problems = tally.problems
    if tally.total:
        problems.append(
            Problem("ledger_off_balance", "ledger", f"All postings sum to {tally.total}.")
        )
    for name in sorted(balances.keys() | tally.balances.keys()):
        row, summed = balances.get(name, 0), tally.balances.get(name, 0)
        if row != summed:
            problems.append(
                Problem("account_wrong", name, f"Its row says {row}, its postings {summed}.")
            )
        if is_below_zero(name, summed):
            problems.append(Problem("account_below_zero", name, f"Its postings sum to {summed}."))
    return BooksReport(journals=tally.journals, accounts=len(balances), problems=tuple(problems))

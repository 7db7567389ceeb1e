"""A whole log again, from its first entry: what must then stand in streams, hours and the ledger.

The entries are taken in by the very rules and prices by which they were taken in before, in the
same parts, each part with what was known when it was posted.  Whatever then differs from what is
stored was changed behind our back, or was wrong from the start.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from protocol.refusal import LogRefused
from registry.ledger.account_names import (
    LATE,
    OVERRUN,
    SITE_SHARE,
    is_spendable,
    site_hold,
    usage_income,
)
from registry.ledger.audit import Problem
from registry.ledger.postings import Journal, UsageCharge
from registry.log_events.facts import EventFacts
from registry.log_events.given_back import CORRECTION_PREFIX, correction_src
from registry.rating.price_book import PriceBook
from registry.usage.acceptance import accept
from registry.usage.bounds import AHEAD_MS_CHARGED
from registry.usage.entries import ReadBatch
from registry.usage.log_state import (
    LeaseStanding,
    LeaseState,
    Log,
    OwnerFact,
    Standing,
    Stream,
    StreamKey,
)
from registry.usage.tally import HourKey, HourSum, Tally

Key = TypeVar("Key")

SRC_PATTERN = re.compile(
    r"log:(?P<origin>.+):(?P<begin>[0-9]+)-(?P<end>[0-9]+):(?P<tenant>[^:]+)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Part:
    """Entries [begin, end) that were taken in together, and when."""

    begin: int
    end: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What a check of every log found.  leases: those that any log speaks of"""

    logs: int
    entries: int
    problems: tuple[Problem, ...]
    leases: frozenset[int] = field(default=frozenset(), compare=False)


@dataclass(slots=True)
class Recount:
    """What a log comes to, part by part."""

    node_id: str
    origin: str
    prices: PriceBook
    site_id: str
    share_basis_points: int
    standing: Standing = field(default_factory=lambda: Standing(owners={}))
    hours: dict[HourKey, HourSum] = field(default_factory=dict)
    settled: dict[int, int] = field(default_factory=dict)
    charges: dict[str, UsageCharge] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(
        self,
        part: Part,
        batch: ReadBatch,
        *,
        owners: Mapping[str, OwnerFact],
        leases: Mapping[int, LeaseStanding],
        events: EventFacts,
    ) -> None:
        """Take a part in; refuse one that breaks a rule.

        owners, leases  as they stand today; what was not yet so at `part.at_ms` is left out
        events          what was changed or adjusted in this log up to today
        """
        self.standing.events = replace(
            events, keys=frozenset(), adjusted=self.standing.events.adjusted
        )
        # Which accelerators the node had then is not kept.
        self.standing.owners = {
            name: owner_at(replace(fact, reported=None), part.at_ms)
            for name, fact in owners.items()
        }
        for lease_id, lease in leases.items():
            found = self.standing.leases.setdefault(
                lease_id, replace(lease, settled=0, state="open")
            )
            if lease.state == "released" and (lease.ended_at_ms or 0) <= part.at_ms:
                found.state = "released"
        tally = Tally(
            self.prices.within(events.span),
            site_id=self.site_id,
            share_basis_points=self.share_basis_points,
        )
        accept(
            batch,
            node_id=self.node_id,
            standing=self.standing,
            tally=tally,
            now_ms=part.at_ms,
        )
        self._merge(part, tally)

    def note(self, refused: LogRefused) -> None:
        """Note why the log could not be taken in again to its end."""
        place = "" if refused.index is None else f"#{refused.index}"
        self.problems.append(Problem(refused.code, f"{self.origin}{place}", refused.message))

    def _merge(self, part: Part, tally: Tally) -> None:
        for key, hour in tally.hours.items():
            _add_hour(self.hours, key, hour)
        for lease_id, micros in tally.settled.items():
            self.settled[lease_id] = self.settled.get(lease_id, 0) + micros
        for tenant_id in tally.tenants:
            charge = tally.usage_charge(tenant_id)
            if charge is not None:
                self.charges[usage_src(self.origin, part.begin, part.end, tenant_id)] = charge
        for given in tally.given_back:
            if given.charge.charged:
                self.charges[correction_src(self.origin, given.index)] = given.charge


@dataclass(slots=True)
class Findings:
    """What all logs together come to, and what is wrong."""

    entries: int = 0
    hours: dict[tuple[str, HourKey], HourSum] = field(default_factory=dict)
    settled: dict[int, int] = field(default_factory=dict)
    states: dict[int, LeaseState] = field(default_factory=dict)
    charges: dict[str, UsageCharge] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, recount: Recount, stored: Mapping[StreamKey, Stream], *, entries: int) -> None:
        """Count a log in."""
        self.entries += entries
        self.problems += recount.problems
        self.problems += _stream_problems(recount.origin, recount.standing.streams, stored)
        for key, hour in recount.hours.items():
            _add_hour(self.hours, (recount.node_id, key), hour)
        for lease_id, lease in recount.standing.leases.items():
            if self.states.get(lease_id, "open") == "open":
                self.states[lease_id] = lease.state
            micros = recount.settled.get(lease_id, 0)
            self.settled[lease_id] = self.settled.get(lease_id, 0) + micros
        self.charges |= recount.charges

    def compared(
        self,
        hours: Mapping[tuple[str, HourKey], HourSum],
        journals: Iterable[Journal],
        leases: Mapping[int, LeaseStanding],
    ) -> tuple[Problem, ...]:
        """Return all problems, with those of hours, leases and journals as they are stored."""
        return (
            *self.problems,
            *_hour_problems(self.hours, hours),
            *_lease_problems(self.settled, leases),
            *_state_problems(self.states, leases),
            *_journal_problems(self.charges, journals),
        )


def usage_src(origin: str, begin: int, end: int, tenant_id: str) -> str:
    """Return the business key of what a tenant's entries in [begin, end) came to."""
    return f"log:{origin}:{begin}-{end}:{tenant_id}"


def is_of_usage(journal: Journal) -> bool:
    """Whether a journal follows from usage logs: usage, or the correction of a record."""
    return journal.kind == "usage" or journal.src.startswith(CORRECTION_PREFIX)


def parts_of(origin: str, journals: Iterable[Journal]) -> list[Part]:
    """Return the parts in which a log was taken in, as far as its journals tell."""
    parts = set()
    for journal in journals:
        match = SRC_PATTERN.fullmatch(journal.src)
        if match is not None and match["origin"] == origin:
            parts.add(Part(int(match["begin"]), int(match["end"]), journal.at_ms))
    return sorted(parts, key=lambda part: (part.begin, part.end))


def whole_parts(parts: Sequence[Part], *, size: int, at_ms: int) -> list[Part]:
    """Return parts that cover the log to its end: those known, and what lies between them.

    at_ms  when the last entries were taken in
    """
    whole: list[Part] = []
    at = 0
    for part in (*parts, Part(size, size, at_ms)):
        if part.begin < at or part.end > size:
            raise LogRefused("parts_wrong", "Journals overlap or go beyond the log.", index=at)
        if part.begin > at:
            whole.append(Part(at, part.begin, part.at_ms))
        if part.end > part.begin:
            whole.append(part)
        at = part.end
    return whole


def _stream_problems(
    origin: str, recounted: Mapping[StreamKey, Stream], stored: Mapping[StreamKey, Stream]
) -> list[Problem]:
    """Return which streams do not stand where the log leads."""
    return [
        Problem("stream_wrong", f"{origin} {' '.join(key)}", f"{stored.get(key)}")
        for key in sorted(recounted.keys() | stored.keys())
        if recounted.get(key) != stored.get(key)
    ]


def _hour_problems(
    recounted: Mapping[tuple[str, HourKey], HourSum], stored: Mapping[tuple[str, HourKey], HourSum]
) -> list[Problem]:
    """Return which hours do not hold what the logs come to."""
    return [
        Problem("hour_wrong", f"{node_id} {' '.join(stream)} {hour_ms}", f"{stored.get(key)}")
        for key in sorted(recounted.keys() | stored.keys())
        for node_id, (stream, hour_ms) in [key]
        if recounted.get(key) != stored.get(key)
    ]


def _lease_problems(
    settled: Mapping[int, int], leases: Mapping[int, LeaseStanding]
) -> list[Problem]:
    """Return which leases were not settled by what the logs say."""
    return [
        Problem(
            "lease_wrong",
            f"lease {lease_id}",
            f"It says {lease.settled} micros, the logs {settled.get(lease_id, 0)}.",
        )
        for lease_id, lease in sorted(leases.items())
        if lease.settled != settled.get(lease_id, 0)
    ]


def _state_problems(
    states: Mapping[int, LeaseState], leases: Mapping[int, LeaseStanding]
) -> list[Problem]:
    """Return which leases do not stand as the logs leave them: a node's word ends a lease for good,
    and one that the node never closed can have been given up since, and no more."""
    return [
        Problem(
            "lease_state_wrong",
            f"lease {lease_id}",
            f"It is {lease.state}, the logs leave it {states.get(lease_id, 'open')}.",
        )
        for lease_id, lease in sorted(leases.items())
        if lease.state != states.get(lease_id, "open")
        and (states.get(lease_id, "open"), lease.state) != ("open", "released")
    ]


def log_problems(log: Log) -> list[Problem]:
    """Return whether a log goes on although a fork of it was proven, or stands still without."""
    is_frozen = log.state == "frozen"
    if is_frozen == bool(log.evidence):
        return []
    said = "frozen without" if is_frozen else f"{log.state} in spite of"
    return [Problem("log_state_wrong", log.origin, f"The log is {said} evidence of a fork.")]


def _journal_problems(
    charges: Mapping[str, UsageCharge], journals: Iterable[Journal]
) -> list[Problem]:
    """Return which usage journals do not post what the logs come to, or are missing or too many."""
    problems = []
    left = dict(charges)
    for journal in journals:
        charge = left.pop(journal.src, None)
        if charge is None:
            problems.append(
                Problem("journal_unfounded", journal.src, "No log comes to this journal.")
            )
        elif _sums(journal) != _expected(charge, journal):
            problems.append(
                Problem("journal_wrong", journal.src, "It posts something else than the log says.")
            )
    problems += [Problem("journal_missing", src, "The log's usage is not posted.") for src in left]
    return problems


def _add_hour(hours: dict[Key, HourSum], key: Key, hour: HourSum) -> None:
    found = hours.setdefault(key, HourSum())
    found.quantity += hour.quantity
    found.rated += hour.rated
    found.charged += hour.charged


def owner_at(fact: OwnerFact, at_ms: int) -> OwnerFact:
    """Return who pays as it counted at a moment: a release that lay ahead was not one yet."""
    known_to_ms = at_ms + AHEAD_MS_CHARGED
    if fact.released_at_ms is not None and fact.released_at_ms > at_ms:
        return replace(fact, released_at_ms=None, known_to_ms=known_to_ms)
    return replace(fact, known_to_ms=known_to_ms)


def _sums(journal: Journal) -> dict[str, int]:
    """Return a journal's postings with what the tenant and we ourselves bear as one sum each."""
    sums: dict[str, int] = {}
    for account, micros in journal.postings:
        name = "borne" if is_spendable(account) or account == OVERRUN else account
        sums[name] = sums.get(name, 0) + micros
    return {name: micros for name, micros in sums.items() if micros}


def _expected(charge: UsageCharge, journal: Journal) -> dict[str, int]:
    """Return what `_sums` of its journal must be.

    What a lease covered may still be our loss where the tenant's purse had been emptied meanwhile;
    a tenant never bears more than its leases covered.
    """
    paid = sum(micros for account, micros in journal.postings if is_spendable(account))
    borne = charge.charged + charge.overrun if paid <= charge.charged else -1
    sums = {"borne": borne, LATE: charge.late, SITE_SHARE: charge.share}
    for usage_class, micros in charge.by_class.items():
        sums[usage_income(usage_class)] = -micros
    if charge.share:
        sums[site_hold(charge.site_id)] = -charge.share
    return {name: micros for name, micros in sums.items() if micros}

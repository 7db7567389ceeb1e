"""The period a statement is about: a UTC month, whole or so far, or all of an owner's life."""

import calendar
import re
from dataclasses import dataclass

from protocol.clock import DAY_MS, SECOND_MS
from protocol.refusal import Refusal

MONTH_PATTERN = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])", re.ASCII)
MONTHS = 12
LISTED_MAX = 36
"""Months that the list of statements goes back: three years."""


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the calendar, UTC."""

    year: int
    month: int

    @property
    def begin_ms(self) -> int:
        """Return its first moment."""
        return calendar.timegm((self.year, self.month, 1, 0, 0, 0)) * SECOND_MS

    @property
    def end_ms(self) -> int:
        """Return the first moment after it."""
        return self.next().begin_ms

    @property
    def name(self) -> str:
        """Return it as `2026-11`."""
        return f"{self.year:04}-{self.month:02}"

    def next(self) -> "Month":
        """Return the month after it."""
        return _month(self.year * MONTHS + self.month)

    def before(self) -> "Month":
        """Return the month before it."""
        return _month(self.year * MONTHS + self.month - 2)


@dataclass(frozen=True, slots=True)
class MonthSum:
    """A month, and what was charged for usage in it."""

    month: Month
    charged_micros: int


def month_of(at_ms: int) -> Month:
    """Return the month in which a moment lies."""
    found = Month(1970 + at_ms // (366 * DAY_MS), 1)
    while found.end_ms <= at_ms:
        found = found.next()
    return found


def read_month(text: str) -> Month:
    """Return the month that `2026-11` names; refuse anything else."""
    match = MONTH_PATTERN.fullmatch(text)
    if match is None:
        raise Refusal(
            code="month_unreadable",
            status=404,
            message="period: no month is called so.",
            hint="Write the month as 2026-11.",
            field="period",
        )
    return Month(int(match[1]), int(match[2]))


def months_between(first_ms: int, last_ms: int) -> list[Month]:
    """Return the months from that of `last_ms` back to that of `first_ms`, newest first."""
    found = [month_of(last_ms)]
    while found[-1].begin_ms > first_ms and len(found) < LISTED_MAX:
        found.append(found[-1].before())
    return found


def _month(count: int) -> Month:
    year, month = divmod(count, MONTHS)
    return Month(year, month + 1)

"""Calendar months of UTC as milliseconds, by arithmetic alone.

Days are counted from the first of March of the year 0, so that the leap day ends its year
(H. Hinnant, "chrono-compatible low-level date algorithms").
"""

import re
from dataclasses import dataclass

from protocol.clock import DAY_MS
from protocol.refusal import Refusal

EPOCH_DAYS = 719_468
"""Days from the first of March of the year 0 to the first of January 1970."""

ERA_DAYS = 146_097
ERA_YEARS = 400
MONTH_PATTERN = re.compile(r"(2[0-9]{3})-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month.  number: 1 to 12"""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year}-{self.number:02d}"

    @property
    def begin_ms(self) -> int:
        """Its first moment."""
        return _days(self.year, self.number) * DAY_MS

    @property
    def end_ms(self) -> int:
        """The first moment after it."""
        return self.following.begin_ms

    @property
    def following(self) -> "Month":
        """The month after it."""
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def before(self) -> "Month":
        """The month before it."""
        back = self.number == 1
        return Month(self.year - back, 12 if back else self.number - 1)


def month_of(at_ms: int) -> Month:
    """Return the month of a moment."""
    days = at_ms // DAY_MS + EPOCH_DAYS
    era, day = divmod(days, ERA_DAYS)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day_of_year = day - (365 * year + year // 4 - year // 100)
    from_march = (5 * day_of_year + 2) // 153
    number = from_march + 3 if from_march < 10 else from_march - 9
    return Month(year + era * ERA_YEARS + (number <= 2), number)


def read_month(text: str) -> Month:
    """Return the month written as 2026-11."""
    match = MONTH_PATTERN.fullmatch(text)
    if match is None:
        raise Refusal(
            code="month_unreadable",
            status=400,
            message="month: not a month.",
            hint="Write it like 2026-11.",
            field="month",
        )
    return Month(int(match[1]), int(match[2]))


def _days(year: int, number: int) -> int:
    """Return the days from 1970 to the first of a month."""
    shifted = year - (number <= 2)
    era, of_era = divmod(shifted, ERA_YEARS)
    from_march = number - 3 if number > 2 else number + 9
    day_of_year = (153 * from_march + 2) // 5
    day_of_era = of_era * 365 + of_era // 4 - of_era // 100 + day_of_year
    return era * ERA_DAYS + day_of_era - EPOCH_DAYS

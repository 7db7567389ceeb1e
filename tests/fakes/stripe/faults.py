"""What may go wrong between a caller and Stripe, planned by a test."""

from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """What happens to one call."""

    REFUSED = "refused"
    """500, and nothing was done."""

    BROKEN = "broken"
    """500, although it was done."""

    DROPPED = "dropped"
    """It was done, and the connection ends without an answer."""

    SLOW = "slow"
    """The answer takes `slow_s`."""


@dataclass
class FaultPlan:
    """Faults that are still to happen: (start of the path, fault), each used once."""

    planned: list[tuple[str, Fault]] = field(default_factory=list)
    slow_s: float = 0.3
    met: list[tuple[str, Fault]] = field(default_factory=list)

    def plan(self, path: str, fault: Fault, times: int = 1) -> None:
        self.planned += [(path, fault)] * times

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault of this call, the one that was planned first.

        A path is `POST /v1/refunds` for one method, `/v1/refunds` for any, nothing for all calls.
        """
        asked = f"{method} {path}"
        for at, (wanted, fault) in enumerate(self.planned):
            if asked.startswith(wanted) or path.startswith(wanted):
                del self.planned[at]
                self.met.append((asked, fault))
                return fault
        return None

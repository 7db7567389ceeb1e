"""Which owners and leases the entries of a batch name: what has to be looked up for them."""

from collections.abc import Sequence

from protocol.log_events import Adjusted, Gap, Session
from protocol.usage import Closed, Entry, LeaseClosed, Opened, Use

OF_OWNERS = (Use, Opened, Closed, Adjusted, Gap)
OF_LEASES = (Use, LeaseClosed)


def named_ids(entries: Sequence[Entry]) -> tuple[list[str], list[int]]:
    """Return the owners and the leases that entries name."""
    owners = {entry.allocation_id for entry in entries if isinstance(entry, OF_OWNERS)}
    owners |= {entry.object_id for entry in entries if isinstance(entry, Session)}
    leases = {entry.lease_id for entry in entries if isinstance(entry, OF_LEASES)}
    return sorted(owners), sorted(leases - {0})

"""Which owners and leases the entries of a batch name: what has to be looked up for them."""

from protocol.log_events import Adjusted, Gap, Session
from protocol.usage import Closed, LeaseClosed, Opened
from registry.usage.entries import ReadBatch

OF_OWNERS = (Opened, Closed, Adjusted, Gap)


def named_ids(batch: ReadBatch) -> tuple[list[str], list[int]]:
    """Return the owners and the leases that entries name."""
    alike = [uses[0] for uses in batch.groups]
    others = batch.others.values()
    owners = {use.allocation_id for use in alike}
    owners |= {entry.allocation_id for entry in others if isinstance(entry, OF_OWNERS)}
    owners |= {entry.object_id for entry in others if isinstance(entry, Session)}
    leases = {use.lease_id for use in alike}
    leases |= {entry.lease_id for entry in others if isinstance(entry, LeaseClosed)}
    return sorted(owners), sorted(leases - {0})


def named_skus(batch: ReadBatch) -> list[str]:
    """Return the SKUs that have to be priced."""
    skus = {uses[0].sku for uses in batch.groups}
    return sorted(
        skus | {entry.sku for entry in batch.others.values() if isinstance(entry, Adjusted)}
    )

"""Which owners and leases the entries of a batch name: what has to be looked up for them."""

from protocol.log_events import Adjusted, Gap, Session
from protocol.usage import Closed, LeaseClosed, Opened
from registry.usage.entries import ReadBatch

OF_OWNERS = (Opened, Closed, Adjusted, Gap)


def named_ids(batch: ReadBatch) -> tuple[list[str], list[int]]:
    """Return the owners and the leases that entries name."""
    runs = [records.run for records in batch.records]
    others = batch.others.values()
    owners = {run.allocation_id for run in runs}
    owners |= {entry.allocation_id for entry in others if isinstance(entry, OF_OWNERS)}
    owners |= {entry.object_id for entry in others if isinstance(entry, Session)}
    leases = {run.lease_id for run in runs}
    leases |= {entry.lease_id for entry in others if isinstance(entry, LeaseClosed)}
    return sorted(owners), sorted(leases - {0})


def named_skus(batch: ReadBatch) -> list[str]:
    """Return the SKUs that have to be priced."""
    skus = {records.run.sku for records in batch.records}
    return sorted(
        skus | {entry.sku for entry in batch.others.values() if isinstance(entry, Adjusted)}
    )

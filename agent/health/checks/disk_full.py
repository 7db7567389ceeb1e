"""The disk of the node runs full: selling stops while there is still room to meter and to stop."""

from collections.abc import Iterator

from agent.health.check import Check, Complaint
from agent.health.facts import Facts

WARNING_PERCENT = 10
WARNING_MIB = 10 * 1024
FLOOR_PERCENT = 3
FLOOR_MIB = 2 * 1024
"""Below the smaller of the two floors nothing new is sold; warnings likewise."""


def complaints(facts: Facts) -> Iterator[Complaint]:
    """Warn below 10 % or 10 GiB, whichever is less; critical below 3 % or 2 GiB."""
    total, free = facts.host.disk_total_mib, facts.host.disk_free_mib
    detail = f"{free} MiB of {total} MiB are free on the disk of {facts.host.disk_path}."
    if free < min(FLOOR_MIB, total * FLOOR_PERCENT // 100):
        yield Complaint(
            severity="critical",
            subject=facts.host.disk_path,
            detail=detail,
            remedy="No new work is taken. Remove unused images (`docker image prune`) and old "
            "files, or give the node a larger disk.",
        )
    elif free < min(WARNING_MIB, total * WARNING_PERCENT // 100):
        yield Complaint(
            severity="warning",
            subject=facts.host.disk_path,
            detail=detail,
            remedy="Remove unused images (`docker image prune`) and old files soon.",
        )


CHECK = Check(code="disk_full", question=complaints, stops_sales=True)

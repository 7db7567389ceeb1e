"""The rules that keep containers off the site's network do not stand (decision 0010)."""

from collections.abc import Iterator

from agent.health.check import Check, Complaint
from agent.health.facts import Facts

REMEDY = (
    "Install iptables and run the agent as root or with CAP_NET_ADMIN; `outstation-agent doctor` "
    "says whether the rules are in place."
)


def complaints(facts: Facts) -> Iterator[Complaint]:
    """Critical while containers with a network run; else new ones get none, which only limits.

    A tenant must not be able to reach the host, the site's network or the metadata address.
    """
    if facts.egress_fault is None:
        return
    if facts.networked_containers:
        yield Complaint(
            severity="critical",
            subject="egress",
            detail=f"{facts.networked_containers} containers may reach the site's network: "
            f"{facts.egress_fault}",
            remedy=REMEDY,
        )
    else:
        yield Complaint(
            severity="warning",
            subject="egress",
            detail="New containers get no network, for the node cannot guard the site's: "
            f"{facts.egress_fault}",
            remedy=REMEDY,
        )


CHECK = Check(code="egress_unprotected", question=complaints, stops_sales=True)

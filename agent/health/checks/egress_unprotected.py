"""Containers could reach the network of the site, which must never be."""

from collections.abc import Iterator

from agent.health.check import Check, Complaint
from agent.health.facts import Facts


def complaints(facts: Facts) -> Iterator[Complaint]:
    """Critical: a tenant must not be able to reach the host, the LAN or the metadata address."""
    if facts.egress_fault is not None:
        yield Complaint(
            severity="critical",
            subject="egress",
            detail=f"Containers may reach the site's network: {facts.egress_fault}",
            remedy="Let the agent install its firewall rules, then run "
            "`outstation-agent selftest isolation`.",
        )


CHECK = Check(code="egress_unprotected", question=complaints, stops_sales=True)

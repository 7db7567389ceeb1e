"""What a call of a node changes in what is known of it, and what about it is wrong."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from protocol.health import Finding
from protocol.observed import AcceleratorFact
from protocol.sync import SyncRequest

SKEW_MS_WARNED = 5_000

FINDING_CODES = frozenset({"clock_off", "node_cloned", "gpu_elsewhere", "gpu_simulated"})
"""Everything that a call of a node can show to be wrong with it."""


@dataclass(frozen=True, slots=True)
class Registered:
    """Which of the reported GPUs are this node's, and findings about the others."""

    accelerators: tuple[AcceleratorFact, ...]
    findings: tuple[Finding, ...]


def registered(
    facts: Iterable[AcceleratorFact],
    owners: Mapping[str, str],
    *,
    node_id: str,
    demo: bool,
    now_ms: int,
) -> Registered:
    """Return which GPUs to keep.  owners: node ids of GPUs that are known, by UUID"""
    kept: list[AcceleratorFact] = []
    findings: list[Finding] = []
    for fact in facts:
        if owners.get(fact.uuid, node_id) != node_id:
            findings.append(_gpu_elsewhere(fact, now_ms))
        elif fact.simulated and not demo:
            findings.append(_gpu_simulated(fact, now_ms))
        else:
            kept.append(fact)
    return Registered(tuple(kept), tuple(findings))


def skew_ms(request: SyncRequest, *, now_ms: int) -> int:
    """Return how far the node's clock is ahead of ours, the time on the way included."""
    return request.sent_at_ms - now_ms


def clock_findings(skew: int, *, now_ms: int) -> tuple[Finding, ...]:
    """Return the finding about a clock that is off, if it is."""
    if abs(skew) < SKEW_MS_WARNED:
        return ()
    return (
        Finding(
            code="clock_off",
            severity="warning",
            subject="",
            since_ms=now_ms,
            detail=f"The node's clock is {abs(skew) // 1000} s "
            f"{'ahead of' if skew > 0 else 'behind'} the registry's.",
            remedy="Switch time synchronization on; beyond 300 s its calls are refused.",
        ),
    )


def clone_findings(
    *, boot_id: str, sequence: int, request: SyncRequest, now_ms: int
) -> tuple[Finding, ...]:
    """Return the finding about a second machine with the same key.

    boot_id, sequence  of the call before
    """
    if request.boot_id != boot_id or request.sequence > sequence:
        return ()
    return (
        Finding(
            code="node_cloned",
            severity="critical",
            subject="",
            since_ms=now_ms,
            detail=f"Call {request.sequence} of this boot came after call {sequence}: two machines "
            "may hold the same key.",
            remedy="Find the second machine and stop it, then give this node a new key.",
        ),
    )


def _gpu_elsewhere(fact: AcceleratorFact, now_ms: int) -> Finding:
    return Finding(
        code="gpu_elsewhere",
        severity="critical",
        subject=fact.uuid,
        since_ms=now_ms,
        detail="This GPU is registered with another node; it is not sold here.",
        remedy="If the card was moved, retire it at the other node first.",
    )


def _gpu_simulated(fact: AcceleratorFact, now_ms: int) -> Finding:
    return Finding(
        code="gpu_simulated",
        severity="critical",
        subject=fact.uuid,
        since_ms=now_ms,
        detail="This GPU is simulated, and the node enrolled without simulated ones: it is not "
        "sold.",
        remedy="In demo mode, make a new node key for this node and enrol it again with it, with "
        "`demo = true` in agent.toml; else set accelerators.source to `nvml` there.",
    )

"""What a call of a node changes in what is known of it, and what about it is wrong."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from protocol.health import Finding
from protocol.observed import AcceleratorFact
from protocol.sync import SyncRequest
from registry.nodes.node import Node

SKEW_MS_WARNED = 5_000

BOOTS_KEPT_MAX = 16
"""So many boots of a node are remembered."""

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


@dataclass(frozen=True, slots=True)
class Boots:
    """Which boot of a node is the present one, its last call, and those before, newest last."""

    present: str
    sequence: int
    earlier: tuple[str, ...]


def boots_after(node: Node, request: SyncRequest) -> Boots:
    """Return the boots of a node after a call; one of an earlier boot changes nothing."""
    if request.boot_id in node.earlier_boots:
        return Boots(node.boot_id, node.sequence, node.earlier_boots)
    is_new = request.boot_id != node.boot_id and bool(node.boot_id)
    earlier = (*node.earlier_boots, node.boot_id) if is_new else node.earlier_boots
    return Boots(request.boot_id, request.sequence, earlier[-BOOTS_KEPT_MAX:])


def is_cloned(node: Node, request: SyncRequest) -> bool:
    """Whether a machine calls that was succeeded by another boot: no machine boots twice into the
    same, so two hold the key.  A call that was long on its way says nothing."""
    heard_at_ms = node.last_contact_at_ms or 0
    is_late = request.sent_at_ms < heard_at_ms - SKEW_MS_WARNED
    return request.boot_id in node.earlier_boots and not is_late


def clone_findings(
    node: Node, request: SyncRequest, *, fenced_at_ms: int | None, now_ms: int
) -> tuple[Finding, ...]:
    """Return the finding about a second machine with the same key.

    node          as it was known before the call
    fenced_at_ms  since when that is certain
    """
    if fenced_at_ms is not None:
        detail = "A boot of this node that was over called again: two machines hold its key."
    elif request.boot_id == node.boot_id and request.sequence <= node.sequence:
        detail = (
            f"Call {request.sequence} of this boot came after call {node.sequence}: two machines "
            "may hold the same key."
        )
    else:
        return ()
    return (
        Finding(
            code="node_cloned",
            severity="critical",
            subject="",
            since_ms=fenced_at_ms or now_ms,
            detail=detail,
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

"""What the pages of the nodes show, made of what is known."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from registry.nodes.enrolment import EnrolmentSecret, state_of
from registry.nodes.node import Node, NodeAccelerator
from registry.nodes.standing import standing
from registry.sites.countries import COUNTRIES
from web.format import power
from web.view_models.allocations import WorkloadRow
from web.view_models.nodes import (
    FindingRow,
    NewNodeKeyPage,
    NodeKeyRow,
    NodePage,
    NodeRow,
    NodesPage,
    UsageLogHead,
)
from web.view_models.parts import Activity, Fact, GpuRow, NewSecret, PathStep

SOMEBODY_ELSE = ("another organization", "")


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """What other rooms know of a node.

    verified_to_ms  every usage record up to this moment is proven
    waiting         records known of and not yet verified
    """

    today_micros: int = 0
    verified_to_ms: int | None = None
    waiting: int = 0
    log: UsageLogHead | None = None
    findings: tuple[FindingRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """A node with everything its row needs."""

    node: Node
    cards: tuple[NodeAccelerator, ...]
    figures: NodeFigures = field(default_factory=NodeFigures)

    def state(self, now_ms: int) -> str:
        """Return how the node stands."""
        return standing(
            self.node.last_contact_at_ms,
            (finding.severity for finding in self.figures.findings),
            now_ms=now_ms,
            is_retired=self.node.revoked,
        )


def finding_row(code: str, severity: str, detail: str, *, remedy: str, since_ms: int) -> FindingRow:
    """Return an open finding as the page of its node shows it."""
    return FindingRow(
        code=code, severity=severity, title=detail, remedy=remedy, since_at_ms=since_ms
    )


def log_head(
    origin: str, *, size: int, root: str, accepted_at_ms: int | None, cosigned: bool
) -> UsageLogHead:
    """Return the right end of a usage log: what was accepted is proven, up to that moment."""
    return UsageLogHead(
        origin=origin,
        size=size,
        root=root,
        verified_to_ms=accepted_at_ms,
        checkpoint_at_ms=accepted_at_ms,
        cosigned=cosigned,
        waiting=0,
    )


def nodes_page(
    known: Sequence[Known], *, now_ms: int, live_url: str, typed_filter: str = ""
) -> NodesPage:
    """Return the list of nodes; the filter keeps rows in whose words all of its own occur."""
    words = typed_filter.casefold().split()
    rows = [node_row(one, now_ms=now_ms) for one in known]
    kept = [row for row in rows if all(word in _words(row) for word in words)]
    powers = [row.power_w for row in kept if row.power_w is not None]
    waiting = [row.usage_verified_to_ms for row in kept if row.usage_waiting]
    return NodesPage(
        now_ms=now_ms,
        live_url=live_url,
        rows=tuple(kept),
        nodes_total=len(kept),
        nodes_online=sum(row.state == "online" for row in kept),
        nodes_degraded=sum(row.state == "degraded" for row in kept),
        nodes_offline=sum(row.state == "offline" for row in kept),
        gpus_used=sum(row.gpus_used for row in kept),
        gpus_total=sum(row.gpus_total for row in kept),
        simulated_gpus=sum(row.gpus_total for row in kept if row.simulated),
        power_w=sum(powers) if powers else None,
        unverified_nodes=len(waiting),
        unverified_since_at_ms=min((at for at in waiting if at is not None), default=None),
        today_micros=sum(row.today_micros for row in kept),
        filter=typed_filter,
    )


def node_row(one: Known, *, now_ms: int) -> NodeRow:
    """Return one line of the list."""
    node, cards = one.node, one.cards
    temperatures = [card.temperature_c for card in cards if card.temperature_c is not None]
    return NodeRow(
        node_id=node.node_id,
        name=node.name,
        href=f"/nodes/{node.node_id}",
        state=one.state(now_ms),
        site=node.site_name,
        place=place_of(node),
        gpus_used=sum(card.held_by is not None for card in cards),
        gpus_total=len(cards) if cards else node.facts.gpu_count,
        accelerator=cards[0].model if cards else node.facts.accelerator,
        simulated=node.simulated,
        agent_version=node.agent_version,
        today_micros=one.figures.today_micros,
        hottest_c=max(temperatures, default=None),
        power_w=power_w(cards),
        last_contact_at_ms=node.last_contact_at_ms,
        usage_verified_to_ms=one.figures.verified_to_ms,
        usage_waiting=one.figures.waiting,
    )


def node_page(
    one: Known,
    *,
    now_ms: int,
    workloads: tuple[WorkloadRow, ...],
    held: Mapping[str, tuple[str, str]],
    activity: tuple[Activity, ...],
    can_operate: bool,
    idempotency_key: str,
) -> NodePage:
    """Return the page of one node.  held: name and address of each workload, by its id"""
    node = one.node
    return NodePage(
        now_ms=now_ms,
        live_url=f"/nodes/{node.node_id}",
        node_id=node.node_id,
        name=node.name,
        state=one.state(now_ms),
        site=node.site_name,
        site_href="/sites",
        place=place_of(node),
        simulated=node.simulated,
        desired_generation=node.generation,
        desired_at_ms=node.desired_at_ms,
        desired_workloads=len(workloads),
        observed_generation=node.generation_held,
        observed_at_ms=node.held_at_ms,
        observed_workloads=len({card.held_by for card in one.cards if card.held_by}),
        last_contact_at_ms=node.last_contact_at_ms,
        log=one.figures.log,
        gpus=tuple(_gpu(card, held) for card in one.cards),
        findings=one.figures.findings,
        workloads=workloads,
        facts=_facts(node),
        activity=activity,
        skew_ms=node.skew_ms,
        idempotency_key=idempotency_key,
        can_operate=can_operate,
    )


def waiting_page(
    one: Known,
    secret: EnrolmentSecret | None,
    *,
    now_ms: int,
    registry_host: str,
    shown: NewSecret | None = None,
) -> NewNodeKeyPage:
    """Return the page that follows a machine from its key to the first proof of its usage."""
    node, cards = one.node, one.cards
    steps = _steps(one, secret)
    heard_at_ms = max(
        node.last_contact_at_ms or 0,
        node.enrolled_at_ms or 0,
        secret.created_at_ms if secret else 0,
    )
    declared = node.facts.gpu_count
    mismatch = ""
    if node.last_contact_at_ms is not None and len(cards) != declared:
        mismatch = f"The node has {len(cards)} GPUs; {declared} were declared."
    return NewNodeKeyPage(
        now_ms=now_ms,
        live_url=f"/nodes/{node.node_id}?part=waiting",
        node_id=node.node_id,
        node_name=node.name,
        node_href=f"/nodes/{node.node_id}",
        online=one.state(now_ms) in ("online", "degraded"),
        steps=steps,
        quiet_ms=max(0, now_ms - heard_at_ms),
        registry_host=registry_host,
        secret=shown,
        mismatch=mismatch,
    )


def key_rows(
    secrets: Iterable[EnrolmentSecret],
    names: Mapping[str, str],
    makers: Mapping[str, str],
    *,
    now_ms: int,
) -> tuple[NodeKeyRow, ...]:
    """Return the lines of the list of node keys.  names: of nodes; makers: addresses of people"""
    return tuple(
        NodeKeyRow(
            key_id=secret.secret_id,
            prefix=secret.prefix,
            node=names[secret.node_id],
            node_href=f"/nodes/{secret.node_id}",
            state=state_of(secret, now_ms=now_ms),
            created_by=makers.get(secret.created_by, secret.created_by),
            created_at_ms=secret.created_at_ms,
            used_at_ms=secret.spent_at_ms,
            used_from=secret.spent_from or "",
        )
        for secret in secrets
    )


def place_of(node: Node) -> str:
    """Return city and country in words."""
    return f"{node.city}, {COUNTRIES.get(node.country, node.country)}"


def power_w(cards: Sequence[NodeAccelerator]) -> int | None:
    """Return what the GPUs draw together, or None where none says."""
    known = [card.power_mw for card in cards if card.power_mw is not None]
    return sum(known) // 1000 if known else None


def _words(row: NodeRow) -> str:
    kind = "simulated" if row.simulated else ""
    return " ".join((row.name, row.state, row.site, row.place, row.accelerator, kind)).casefold()


def _gpu(card: NodeAccelerator, held: Mapping[str, tuple[str, str]]) -> GpuRow:
    holder, href = held.get(card.held_by, SOMEBODY_ELSE) if card.held_by else ("", "")
    return GpuRow(
        index=card.position,
        name=card.model,
        uuid=card.uuid,
        simulated=card.simulated,
        memory_total_mib=card.memory_mib,
        memory_used_mib=card.memory_used_mib,
        utilization_percent=card.utilization_percent,
        temperature_c=card.temperature_c,
        power_w=None if card.power_mw is None else card.power_mw // 1000,
        holder=holder,
        holder_href=href,
    )


def _facts(node: Node) -> tuple[Fact, ...]:
    declared = f"{node.facts.gpu_count} × {node.facts.accelerator}"
    facts = [Fact("Declared", declared)]
    if node.facts.power_w:
        facts.append(Fact("Power at full load", power(node.facts.power_w)))
    if node.facts.external_id:
        facts.append(Fact("Your own id", node.facts.external_id))
    if node.agent_version:
        facts.append(Fact("Agent", node.agent_version))
    if node.gateway_url:
        facts.append(Fact("Gateway", node.gateway_url, "code"))
    if node.key_id:
        facts.append(Fact("Node key", node.key_id, "code"))
    if node.host is not None:
        facts += [
            Fact("Host", node.host.hostname),
            Fact("Processors", node.host.cpu_count, "count"),
            Fact("Memory", node.host.memory_mib * 1024 * 1024, "bytes"),
            Fact("Free disk", node.host.disk_free_mib * 1024 * 1024, "bytes"),
            Fact("Engine", node.host.engine),
            Fact("Kernel", node.host.kernel),
        ]
    return tuple(facts)


def _steps(one: Known, secret: EnrolmentSecret | None) -> tuple[PathStep, ...]:
    node, cards, log = one.node, one.cards, one.figures.log
    spent_at_ms = secret.spent_at_ms if secret is not None else node.enrolled_at_ms
    has_log = log is not None and log.cosigned
    facts = (
        (
            "Key used",
            spent_at_ms,
            f"from {secret.spent_from}" if secret and secret.spent_from else "",
        ),
        ("Agent connected", node.last_contact_at_ms, node.agent_version),
        (
            "GPUs detected",
            node.last_contact_at_ms if cards else None,
            f"{len(cards)} of {node.facts.gpu_count} declared",
        ),
        ("First checkpoint verified", log.checkpoint_at_ms if log and has_log else None, ""),
    )
    steps: list[PathStep] = []
    for label, at_ms, fact in facts:
        is_done = at_ms is not None
        is_current = not is_done and all(step.status == "done" for step in steps)
        status = "done" if is_done else "current" if is_current else "future"
        steps.append(PathStep(label, status, at_ms, fact if is_done else ""))
    return tuple(steps)

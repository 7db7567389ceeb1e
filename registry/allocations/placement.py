"""Which node gets an allocation, and why the others do not: pure, explained, deterministic.

Every node is asked the same questions in the same order; the first that says no is the rule that
refused it, with what was needed and what there was.  Among nodes that pass all, one that has the
image already wins, then the one with the most accelerators left, then the lowest id.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from protocol.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be placed.

    model      accelerator model of the SKU
    count      accelerators of that model, all on one node
    country    ISO 3166 code the work must stay in, or None for anywhere
    site_id    the one site it may go to, or None
    power_w    draw that the accelerators add to the site
    simulated  whether the SKU sells simulated accelerators
    """

    model: str
    count: int
    image_digest: str
    country: str | None = None
    site_id: str | None = None
    power_w: int = 0
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node as placement sees it.

    free            healthy accelerators of the wished model that nobody holds
    total           accelerators of the wished model, healthy or not
    site_power_w    capacity of the site; 0 when nobody stated it
    site_used_w     draw already promised at the site
    """

    node_id: str
    node_name: str
    site_id: str
    site_name: str
    country: str
    in_contact: bool
    blocked_by: str | None
    free: int
    total: int
    simulated: bool
    site_power_w: int
    site_used_w: int
    image_digests: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class WhyNot:
    """The rule by which one node was refused, in words a customer can act on."""

    node_name: str
    site_name: str
    country: str
    rule: str
    need: str
    found: str


class NoCapacity(Refusal):
    """No node can take the allocation; `reasons` names the rule for each."""

    def __init__(self, reasons: tuple[WhyNot, ...]) -> None:
        super().__init__(
            code="no_capacity",
            status=409,
            message=_sentence(reasons),
            hint="Choose another shape or place, or try again when one is free.",
        )
        self.reasons = reasons


def placed(wish: Wish, candidates: Iterable[Candidate]) -> Candidate:
    """Return the node that gets the allocation; raise NoCapacity with every node's reason."""
    fitting: list[Candidate] = []
    reasons: list[WhyNot] = []
    for candidate in candidates:
        reason = why_not(wish, candidate)
        if reason is None:
            fitting.append(candidate)
        else:
            reasons.append(reason)
    if not fitting:
        raise NoCapacity(tuple(reasons))
    return min(
        fitting,
        key=lambda node: (wish.image_digest not in node.image_digests, -node.free, node.node_id),
    )


def why_not(wish: Wish, node: Candidate) -> WhyNot | None:
    """Return the first rule that refuses this node, or None if it can take the allocation."""
    for rule, need, found, holds in _rules(wish, node):
        if not holds:
            return WhyNot(
                node_name=node.node_name,
                site_name=node.site_name,
                country=node.country,
                rule=rule,
                need=need,
                found=found,
            )
    return None


def _rules(wish: Wish, node: Candidate) -> list[tuple[str, str, str, bool]]:
    """Return (rule, need, found, holds) in the order they are asked."""
    power_left_w = node.site_power_w - node.site_used_w
    return [
        ("site", "the chosen site", node.site_name, wish.site_id in (None, node.site_id)),
        ("residency", wish.country or "any", node.country, wish.country in (None, node.country)),
        ("model", wish.model, f"{node.total} of this model", node.total > 0),
        (
            "simulated",
            "simulated" if wish.simulated else "real",
            "simulated" if node.simulated else "real",
            wish.simulated == node.simulated,
        ),
        ("contact", "in contact", "heard of" if node.in_contact else "silent", node.in_contact),
        ("health", "no blocking finding", node.blocked_by or "none", node.blocked_by is None),
        ("free", _free(wish.count), _free(node.free), node.free >= wish.count),
        (
            "power",
            f"{wish.power_w} W",
            f"{max(power_left_w, 0)} W left",
            node.site_power_w == 0 or power_left_w >= wish.power_w,
        ),
    ]


def _sentence(reasons: tuple[WhyNot, ...]) -> str:
    if not reasons:
        return "No node is enrolled yet, so nothing can be launched."
    first = reasons[0]
    others = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return (
        f"No node can take this: {first.node_name} at {first.site_name} needs {first.need}, "
        f"has {first.found}{others}."
    )


def _free(count: int) -> str:
    return f"{count} free GPU" if count == 1 else f"{count} free GPUs"

"""What a customer's own pages show: funds, spending, what needs attention, what is set up."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from protocol.clock import DAY_MS, MINUTE_MS
from protocol.lifecycle import State
from registry.allocations.progress import node_trouble
from registry.allocations.seen import ENDED_BADLY, SeenAllocation
from registry.ledger.posture import Posture
from registry.notices.banners import moment
from web.format import money, plural
from web.view_models.billing import HeldRow, LedgerRow, StopRow
from web.view_models.overview import Funds, SetupStep
from web.view_models.parts import AttentionItem, Chart, Series

SPEND_DAYS = 30
ATTENTION_MAX = 20
MEMO_SPLIT = re.compile(r", | and ")
"""Between the SKUs that the memo of a line of usage names."""

KEY_PREFIX = "k_"
ALLOCATION_PREFIX = "a_"
KINDS = {
    "top_up": "Added funds",
    "promo": "Promotional grant",
    "expiry": "Grant expired",
    "correction": "Correction",
    "right_entry": "Usage, set right",
    "refund": "Paid back",
    "refund_failed": "Refund came back",
    "dispute_opened": "Payment disputed",
    "dispute_won": "Dispute won",
    "dispute_lost": "Dispute lost",
    "write_off": "Debt written off",
}


class LedgerLine(Protocol):
    """A line of the ledger: above zero it came in, below it went out."""

    @property
    def journal_id(self) -> int: ...
    @property
    def src(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def at_ms(self) -> int: ...
    @property
    def ref(self) -> str: ...
    @property
    def memo(self) -> str: ...
    @property
    def meter(self) -> str: ...
    @property
    def quantity(self) -> int | None: ...
    @property
    def micros(self) -> int: ...
    @property
    def balance_after(self) -> int: ...


class FindingLine(Protocol):
    """A finding that is open."""

    @property
    def severity(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def remedy(self) -> str: ...
    @property
    def since_ms(self) -> int: ...


@dataclass(frozen=True, slots=True)
class TroubledNode:
    """A node that its operator should look at.  silent_since_ms: None while it is in contact"""

    node_id: str
    name: str
    silent_since_ms: int | None
    findings: tuple[FindingLine, ...]


@dataclass(frozen=True, slots=True)
class Begun:
    """What an organization has done so far.

    uses, hosts  what it is here for
    sited        it has a site;  online: a node of it was heard of
    """

    funded: bool
    launched: bool
    called: bool
    uses: bool = True
    hosts: bool = False
    sited: bool = False
    online: bool = False


def funds_of(posture: Posture, *, balance: int, spent: int, held: int) -> Funds:
    """Return the figures of an account.  spent: in 30 days;  held: used and not verified yet"""
    return Funds(
        balance_micros=balance,
        burn_micros_per_hour=posture.burn_micros_per_hour,
        runway_ms=posture.runway_ms,
        spent_30d_micros=spent,
        held_micros=held,
        state=posture.state,
    )


def spend_chart(by_day: Mapping[int, int], *, now_ms: int) -> Chart | None:
    """Return what verified usage came to on each of the last 30 days, or None before any did."""
    if not by_day:
        return None
    today = now_ms - now_ms % DAY_MS
    days = tuple(today - back * DAY_MS for back in reversed(range(SPEND_DAYS)))
    values = tuple(by_day.get(day, 0) for day in days)
    return Chart(
        chart_id="spend",
        title="Spending, last 30 days",
        summary=(
            f"{money(sum(values))} in 30 days, at most {money(max(values))} on one day, "
            f"{money(values[-1])} so far today (UTC)."
        ),
        unit="micros",
        times_ms=days,
        series=(Series("Spent per day", values, "filled"),),
    )


def stop_rows(
    running: Iterable[SeenAllocation], posture: Posture, *, now_ms: int
) -> tuple[StopRow, ...]:
    """Return what stops when the balance is used up, the dearest first."""
    stops_at_ms = None if posture.runway_ms is None else now_ms + posture.runway_ms
    dearest = sorted(running, key=lambda one: (-one.hourly_micros, one.allocation_id))
    return tuple(
        StopRow(
            name=one.name,
            href=f"/workloads/{one.allocation_id}",
            micros_per_hour=one.hourly_micros,
            stops_at_ms=None if stops_at_ms is None else stops_at_ms - stops_at_ms % MINUTE_MS,
        )
        for one in dearest
    )


def held_rows(unsettled: Iterable[SeenAllocation], *, now_ms: int) -> tuple[HeldRow, ...]:
    """Return the usage that waits to be verified, by node."""
    by_node: dict[str, list[SeenAllocation]] = {}
    for one in unsettled:
        if one.held_micros(now_ms):
            by_node.setdefault(one.node_name, []).append(one)
    return tuple(
        HeldRow(
            node=node,
            micros=sum(one.held_micros(now_ms) for one in found),
            since_at_ms=min(max(one.verified_to_ms or 0, one.ready_at_ms or 0) for one in found),
            reason=_why_held(found, now_ms),
        )
        for node, found in sorted(by_node.items())
    )


def ledger_row(
    line: LedgerLine, names: Mapping[str, str], *, simulated: Collection[str] = ()
) -> LedgerRow:
    """Return a line of the ledger.

    names      of allocations and API keys, by id
    simulated  ids of SKUs without real GPUs
    """
    is_usage = line.kind == "usage"
    named = names.get(line.ref, "")
    shape = f" · {line.memo}" if named and line.memo else ""
    what = f"{named}{shape}" if named else line.memo or KINDS.get(line.kind, line.kind)
    return LedgerRow(
        at_ms=line.at_ms,
        what=what if named or not is_usage else f"Usage: {what}",
        debit_micros=max(-line.micros, 0),
        credit_micros=max(line.micros, 0),
        balance_after_micros=line.balance_after,
        href=_href(line.ref),
        quantity=line.quantity,
        unit=line.meter,
        receipt_href=f"/billing/ledger/{line.journal_id}/receipt" if is_usage else "",
        simulated=is_usage and not set(simulated).isdisjoint(MEMO_SPLIT.split(line.memo)),
    )


def setup_steps(begun: Begun, *, smallest: int | None) -> tuple[SetupStep, ...]:
    """Return the steps of the first run; nothing when all are done."""
    price = "" if smallest is None else f"The smallest costs {money(smallest)} per hour."
    first = SetupStep("Create an organization", "It holds projects, sites and money.", "/", True)
    steps = (first, *(_host_steps(begun) if begun.hosts else ()))
    if begun.uses:
        steps += _use_steps(begun, price)
    return () if all(step.done for step in steps) else steps


def _host_steps(begun: Begun) -> tuple[SetupStep, ...]:
    return (
        SetupStep("Add a site", "Where your machines stand.", "/sites/new", begun.sited),
        SetupStep(
            "Bring a node online",
            "Add it, run one command on the machine, and it turns green.",
            "/nodes" if begun.sited else "/sites/new",
            begun.online,
        ),
    )


def _use_steps(begun: Begun, price: str) -> tuple[SetupStep, ...]:
    return (
        SetupStep(
            "Add funds",
            "Prepaid: nothing is ever spent beyond the balance.",
            "/billing/add-funds",
            begun.funded,
        ),
        SetupStep("Launch a workload", price or "One page, one submit.", "/launch", begun.launched),
        SetupStep("Call a model", "Create an API key first.", "/access/api-keys", begun.called),
    )


def attention_items(
    posture: Posture | None,
    troubled: Sequence[SeenAllocation],
    nodes: Iterable[TroubledNode] = (),
    *,
    now_ms: int,
) -> tuple[AttentionItem, ...]:
    """Return what somebody should look at, most urgent first.  nodes: those the reader runs"""
    items = [
        *_of_balance(posture, now_ms),
        *(item for one in nodes for item in _of_node(one)),
        *(_of_workload(one, now_ms) for one in troubled),
    ]
    order = ("bad", "warn", "stale", "info")
    return tuple(sorted(items, key=lambda item: order.index(item.tone)))[:ATTENTION_MAX]


def _of_balance(posture: Posture | None, now_ms: int) -> list[AttentionItem]:
    if posture is None or posture.state == "funded":
        return []
    if posture.state == "depleted":
        title, detail = "Balance used up", "Nothing can be launched until funds are added."
    elif posture.state in ("frozen", "closed"):
        title, detail = f"Balance {posture.state}", "Nothing can be launched until that is settled."
    else:
        assert posture.runway_ms is not None
        title = f"{money(posture.left_micros)} left"
        at = moment(now_ms + posture.runway_ms, now_ms)
        detail = f"At the present pace everything that runs stops at about {at}."
    tone = "warn" if posture.state == "low" else "bad"
    return [AttentionItem(tone, "Balance", title, detail, "/billing")]


def _of_node(one: TroubledNode) -> Iterator[AttentionItem]:
    href = f"/nodes/{one.node_id}"
    if one.silent_since_ms is not None:
        detail = "Not heard from. What runs there goes on; look at its uplink and its agent."
        yield AttentionItem("stale", "No contact", one.name, detail, href, one.silent_since_ms)
    for found in one.findings:
        tone, word = ("bad", "Critical") if found.severity == "critical" else ("warn", "Warning")
        detail = f"{found.detail} {found.remedy}"
        yield AttentionItem(tone, word, one.name, detail, href, found.since_ms)


def _of_workload(seen: SeenAllocation, now_ms: int) -> AttentionItem:
    href = f"/workloads/{seen.allocation_id}"
    silent = seen.silent_since_ms(now_ms)
    if seen.state in ENDED_BADLY or seen.state is State.RELEASE_FAILED:
        tone, word, detail, since = "bad", "Failed", seen.last_fact, seen.ended_at_ms
    elif seen.state is State.INSUFFICIENT_BALANCE:
        tone, word, since = "warn", "Stopped", seen.ended_at_ms
        detail = "The balance was used up. Add funds, then launch it again."
    elif silent is None and seen.trouble:
        tone, word, since = "bad", "Node trouble", None
        detail = node_trouble(seen.trouble, seen.state)
    else:
        tone, word, since = "stale", "No contact", silent
        detail = f"{seen.node_name} is silent. It keeps running there; usage is held."
    return AttentionItem(tone, word, seen.name, detail, href, since)


def _why_held(found: Sequence[SeenAllocation], now_ms: int) -> str:
    many = plural(len(found), "workload")
    if any(one.silent_since_ms(now_ms) is not None for one in found):
        return f"The node is not heard from; {many}. Charged once its records are verified."
    return f"Used since the last verified record by {many}. The amount is the most it can be."


def _href(ref: str) -> str:
    if ref.startswith(ALLOCATION_PREFIX):
        return f"/workloads/{ref}"
    return "/access/api-keys" if ref.startswith(KEY_PREFIX) else ""

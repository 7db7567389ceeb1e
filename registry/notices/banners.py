"""Which banner about money stays on every page, and what it says.

At most one: the state of the balance comes first, then usage that waits for a silent node.
"""

from dataclasses import dataclass

from protocol.clock import DAY_MS
from registry.ledger.posture import Posture
from web.format import duration, money, plural, utc_date, utc_minute
from web.view_models.shell import Banner

ADD_FUNDS = ("Add funds", "/billing/add-funds")
SEE_LEDGER = ("See what is held", "/billing/ledger")
NODES_NAMED_MAX = 2
KEPT = "Their scratch files are deleted then; settings, costs and receipts are kept without an end."
"""What of a workload outlives its balance, and how long."""


@dataclass(frozen=True, slots=True)
class Account:
    """An organization's money as its banner needs it.

    funded          money or credit was ever there
    running         names of the workloads that are charging, the one that stops first in front
    stopped         how many workloads stopped for want of money, and the last one when
    can_pay         whether the reader may add funds; else `payers` may
    held_micros     usage of nodes that were not heard from for long: neither verified nor charged
    silent_nodes    their names
    """

    posture: Posture
    funded: bool
    running: tuple[str, ...]
    stopped: int
    stopped_at_ms: int | None
    can_pay: bool
    payers: tuple[str, ...]
    held_micros: int
    silent_nodes: tuple[str, ...]


def money_banners(account: Account, *, now_ms: int) -> tuple[Banner, ...]:
    """Return the banner about money that is due now, or nothing."""
    state = account.posture.state
    if state == "low":
        return (_low(account, now_ms),)
    if state == "critical":
        return (_critical(account, now_ms),)
    if state == "depleted" and account.funded:
        return (_depleted(account, now_ms),)
    if account.held_micros:
        return (_unverified(account),)
    return ()


def moment(at_ms: int, now_ms: int) -> str:
    """Return a moment in words: "15:38 UTC today", "15:38 UTC on 27 Nov 2026"."""
    if at_ms // DAY_MS == now_ms // DAY_MS:
        return f"{utc_minute(at_ms)} today"
    return f"{utc_minute(at_ms)} on {utc_date(at_ms)}"


def _low(account: Account, now_ms: int) -> Banner:
    posture = account.posture
    assert posture.runway_ms is not None
    many = len(account.running)
    return Banner(
        kind="warning",
        lead=f"Balance low: {money(posture.left_micros)} left.",
        text=(
            f"At {money(posture.burn_micros_per_hour)} per hour, {plural(many, 'workload')} "
            f"{'stops' if many == 1 else 'stop'} at about "
            f"{moment(now_ms + posture.runway_ms, now_ms)}. {KEPT} {_asking(account)}"
        ).strip(),
        actions=_remedies(account),
    )


def _critical(account: Account, now_ms: int) -> Banner:
    posture = account.posture
    assert posture.runway_ms is not None
    others = len(account.running) - 1
    more = f" and {plural(others, 'other')}" if others > 0 else ""
    first = account.running[0] if account.running else "Everything"
    return Banner(
        kind="critical",
        lead=f"Balance critical: {money(posture.left_micros)} left.",
        text=(
            f"At {money(posture.burn_micros_per_hour)} per hour, {first}{more} "
            f"{'stop' if others > 0 else 'stops'} in about {duration(posture.runway_ms)}, at "
            f"{moment(now_ms + posture.runway_ms, now_ms)}. {KEPT} {_asking(account)}"
        ).strip(),
        actions=_remedies(account),
    )


def _depleted(account: Account, now_ms: int) -> Banner:
    at = ""
    if account.stopped and account.stopped_at_ms is not None:
        at = f" at {moment(account.stopped_at_ms, now_ms)}"
    left = account.posture.left_micros
    owed = f" {money(-left)} is owed." if left < 0 else ""
    stopped = "Nothing can be launched."
    if account.stopped:
        stopped = (
            f"{plural(account.stopped, 'workload')} stopped and nothing can be launched; their "
            "settings, costs and receipts are kept without an end."
        )
    return Banner(
        kind="depleted",
        lead=f"Balance used up{at}.",
        text=f"{stopped}{owed} {_asking(account)}".strip(),
        actions=_remedies(account),
    )


def _unverified(account: Account) -> Banner:
    nodes = account.silent_nodes
    named = " and ".join(nodes[:NODES_NAMED_MAX])
    if len(nodes) > NODES_NAMED_MAX:
        named = f"{nodes[0]} and {len(nodes) - 1} more nodes"
    verb = "reconnects" if len(nodes) == 1 else "reconnect"
    return Banner(
        kind="unverified",
        lead=f"Up to {money(account.held_micros)} of usage is held,",
        text=f"not charged, until {named} {verb} and it is verified.",
        actions=(SEE_LEDGER,),
    )


def _remedies(account: Account) -> tuple[tuple[str, str], ...]:
    return (ADD_FUNDS,) if account.can_pay else ()


def _asking(account: Account) -> str:
    if account.can_pay or not account.payers:
        return ""
    return f"Ask {' or '.join(account.payers)} to add funds."

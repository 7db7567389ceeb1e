"""Which banner about money stays on every page, and what it says.

At most one: the state of the balance comes first, then a payment that is on its way or was refused,
then usage that waits for a silent node.  Where money is short, the payment is named with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.clock import DAY_MS
from registry.ledger.posture import Posture
from registry.payments.checkout import State, TopUp
from web.format import duration, money, plural, utc_date, utc_minute
from web.view_models.shell import Banner

ADD_FUNDS = ("Add funds", "/billing/add-funds")
SEE_LEDGER = ("See what is held", "/billing/ledger")
NODES_NAMED_MAX = 2
KEPT = "Their scratch files are deleted then; settings, costs and receipts are kept without an end."
"""What of a workload outlives its balance, and how long."""


@dataclass(frozen=True, slots=True)
class Payment:
    """The newest payment that is not in the ledger.  refused: why; empty while it is on its way"""

    micros: int
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """An organization's money as its banner needs it.

    funded          money or credit was ever there
    running         names of the workloads that are charging, the one that stops first in front
    stopped         how many workloads stopped for want of money, and the last one when
    can_pay         whether the reader may add funds; else `payers` may
    held_micros     usage of nodes that were not heard from for long: neither verified nor charged
    silent_nodes    their names
    kept_micros     kept back while a payment is disputed
    resume_micros   what the first hour costs of the cheapest workload that stopped
    keep_ms         how long after it stopped a workload starts again by itself
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
    kept_micros: int = 0
    suspended: bool = False
    payment: Payment | None = None
    resume_micros: int | None = None
    keep_ms: int = 7 * DAY_MS


def money_banners(account: Account, *, now_ms: int) -> tuple[Banner, ...]:
    """Return the banner about money that is due now, or nothing."""
    state = account.posture.state
    if state == "low":
        return (_low(account, now_ms),)
    if state == "critical":
        return (_critical(account, now_ms),)
    if state == "depleted" and account.funded:
        return (_depleted(account, now_ms),)
    if state == "frozen":
        return (_frozen(account),)
    if state == "closed":
        return (Banner("closed", "This account is closed.", "Statements and receipts are kept."),)
    if account.payment is not None:
        return (_payment(account, account.payment),)
    if account.held_micros:
        return (_unverified(account),)
    return ()


def untold_payment(recent: Sequence[TopUp]) -> TopUp | None:
    """Return the newest of these payments if it is on its way or was refused.

    A page that was opened and not paid is neither; a later one that came in ends the matter.

    recent  newest first
    """
    tried = [one for one in recent if one.payment_id or not one.is_open]
    newest = next((one for one in tried if one.state is not State.EXPIRED), None)
    if newest is None or newest.state not in (State.PENDING, State.FAILED):
        return None
    return newest if newest.state is State.FAILED or not newest.decline else None


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
            f"settings, costs and receipts are kept without an end.{_until(account, now_ms)}"
        )
    return Banner(
        kind="depleted",
        lead=f"Balance used up{at}.",
        text=f"{stopped}{owed} {_asking(account)}".strip(),
        actions=_remedies(account),
    )


def _until(account: Account, now_ms: int) -> str:
    if account.stopped_at_ms is None or account.resume_micros is None:
        return ""
    until_ms = account.stopped_at_ms + account.keep_ms
    if until_ms <= now_ms:
        return ""
    short = max(account.resume_micros - account.posture.left_micros, 1)
    at = moment(until_ms, now_ms)
    return f" Add at least {money(short)} by {at} and they start again by themselves."


def _frozen(account: Account) -> Banner:
    if account.kept_micros:
        why = f"{money(account.kept_micros)} is kept back while a payment is disputed."
    elif account.suspended:
        why = "The operator has suspended this organization; write to them."
    else:
        left = money(account.posture.left_micros)
        why = f"{left} is left, less than what was promised to nodes already."
    return Banner(
        kind="frozen",
        lead="Balance frozen.",
        text=f"{why} Nothing new can be begun until that is settled. {_asking(account)}".strip(),
        actions=() if account.suspended else _remedies(account),
    )


def _payment(account: Account, payment: Payment) -> Banner:
    if payment.refused:
        again = (("Try another", ADD_FUNDS[1]),) if account.can_pay else ()
        return Banner("failed", payment.refused, "No money moved.", again)
    return Banner(
        kind="pending",
        lead=f"{money(payment.micros)} is on its way.",
        text="The bank confirms it, usually within a minute.",
        actions=(("See the payment", "/billing/payments"),),
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
    payment = account.payment
    if payment is not None:
        return payment.refused or f"{money(payment.micros)} is on its way."
    if account.can_pay or not account.payers:
        return ""
    return f"Ask {' or '.join(account.payers)} to add funds."

"""What a mail about money says: what is so, what will happen when, and the one thing to do.

Mails are plain text; their addresses are made from the configured base URL.
"""

from dataclasses import dataclass

from protocol.clock import HOUR_MS
from registry.accounts.letters import Letter
from registry.balances.states import Kept, Money, State
from web.format import duration, money, plural, utc_time

WORKLOADS_NAMED_MAX = 5

SUBJECTS = {
    State.FUNDED: "Balance is fine again",
    State.LOW: "Balance is low",
    State.CRITICAL: "Balance lasts less than an hour",
    State.DEPLETED: "Balance is used up",
    State.FROZEN: "Balance is frozen",
    State.CLOSED: "Account is closed",
}


@dataclass(frozen=True, slots=True)
class News:
    """What a mail is about.

    running    names of the workloads that are charged for, what stops first in front
    keep_ms    how long what stopped is kept
    """

    organization: str
    base_url: str
    kept: Kept
    money: Money
    running: tuple[str, ...]
    keep_ms: int
    now_ms: int


def edge_letter(to: str, news: News) -> Letter:
    """Return the mail of a change of state."""
    subject = f"{SUBJECTS[news.kept.state]}: {news.organization}"
    return Letter(to=to, subject=subject, text=_text(_SAYINGS[news.kept.state](news), news))


def reminder_letter(to: str, news: News, *, runway_ms: int) -> Letter:
    """Return the mail that reminds of money that runs out within `runway_ms`."""
    hours = plural(runway_ms // HOUR_MS, "hour").replace("\u00a0", " ")
    subject = f"Balance lasts less than {hours}: {news.organization}"
    return Letter(to=to, subject=subject, text=_text(_running_out(news), news))


def _text(said: str, news: News) -> str:
    plain = said.replace("\u00a0", " ")
    return (
        f"{news.organization}: {plain}\n\n"
        f"Balance and payments: {news.base_url}/billing\n\n"
        "You get this mail because you may add funds for this organization. Each change of the\n"
        "balance's state is mailed once.\n"
    )


def _funded(news: News) -> str:
    return (
        f"{money(news.money.left_micros)} is left and nothing will stop soon. "
        "Workloads can be launched."
    )


def _running_out(news: News) -> str:
    runway_ms = news.money.runway_ms or 0
    lines = [
        f"{money(news.money.left_micros)} is left. At "
        f"{money(news.money.burn_micros_per_hour)} per hour it lasts about {duration(runway_ms)}, "
        f"until {utc_time(news.now_ms + runway_ms)}.",
    ]
    if news.running:
        named = "\n".join(f"  - {name}" for name in news.running[:WORKLOADS_NAMED_MAX])
        lines.append(f"These stop then, in this order:\n{named}")
    lines.append(
        "Ten minutes before, each finds a notice in /run/outstation/notice.json; at the end it is "
        "asked to stop (SIGTERM) and has 30 seconds.\nAdd funds to keep them running."
    )
    return "\n\n".join(lines)


def _depleted(news: News) -> str:
    left = news.money.left_micros
    owed = f" {money(-left)} is owed." if left < 0 else ""
    until = utc_time(news.now_ms + news.keep_ms)
    return (
        f"the balance is used up.{owed} Workloads stop and nothing can be launched.\n\n"
        f"Settings of what stopped, costs and receipts are kept; workloads can be resumed until "
        f"{until}. Add funds and those that still have room on their node start again by "
        "themselves."
    )


def _frozen(news: News) -> str:
    if news.money.kept_micros:
        why = f"{money(news.money.kept_micros)} is kept back while a payment is disputed."
    elif news.money.suspended:
        why = "the operator has suspended this organization."
    else:
        why = (
            f"{money(news.money.left_micros)} is left and {money(news.money.held_micros)} was "
            "promised to nodes already."
        )
    return f"{why} Nothing new can be begun until that is settled; what you stored is kept."


def _closed(_news: News) -> str:
    return "the account is closed. Nothing can be launched; statements and receipts are kept."


_SAYINGS = {
    State.FUNDED: _funded,
    State.LOW: _running_out,
    State.CRITICAL: _running_out,
    State.DEPLETED: _depleted,
    State.FROZEN: _frozen,
    State.CLOSED: _closed,
}

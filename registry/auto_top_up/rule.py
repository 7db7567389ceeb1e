"""When a saved card is charged without its holder, and when that stops."""

from collections.abc import Sequence
from enum import StrEnum

from protocol.clock import DAY_MS, MINUTE_MS
from protocol.money import MICROS_PER_UNIT
from registry.payments.checkout import State, TopUp
from registry.settlement.panels import refusal_words

DECLINES_MAX = 2
"""In a row; then a person must look at the card."""

PER_DAY_MAX = 24
"""Payments in a day; more is a runaway that a person must see."""

GAP_MS = MINUTE_MS
GAP_AFTER_DECLINE_MS = 10 * MINUTE_MS

THRESHOLD_MICROS_MIN = MICROS_PER_UNIT
THRESHOLD_MICROS_MAX = 10_000 * MICROS_PER_UNIT

MISSED = frozenset({State.FAILED, State.CANCELED})


class Step(StrEnum):
    """What is to be done now."""

    NOTHING = "nothing"
    CHARGE = "charge"
    STOP = "stop"


def step(
    recent: Sequence[TopUp], *, balance: int, threshold: int, since_ms: int, now_ms: int
) -> tuple[Step, str]:
    """Return what is to be done, and why it stops.

    recent    automatic top-ups of the last day, newest first
    balance   what the organization has, held or not
    since_ms  when the rule was switched on: what was declined before does not count
    """
    counted = [one for one in recent if one.created_at_ms >= since_ms]
    if any(one.is_open for one in counted):
        return Step.NOTHING, ""
    declines = declined_in_a_row(counted)
    if declines >= DECLINES_MAX:
        words = refusal_words(counted[0].decline)
        return Step.STOP, f"{DECLINES_MAX} payments in a row failed. {words}"
    if balance >= threshold:
        return Step.NOTHING, ""
    today = [one for one in recent if now_ms - one.created_at_ms < DAY_MS]
    if len(today) >= PER_DAY_MAX:
        return Step.STOP, f"{PER_DAY_MAX} payments were made within a day."
    gap_ms = GAP_AFTER_DECLINE_MS if declines else GAP_MS
    if recent and now_ms - recent[0].created_at_ms < gap_ms:
        return Step.NOTHING, ""
    return Step.CHARGE, ""


def declined_in_a_row(recent: Sequence[TopUp]) -> int:
    """Return how many of the newest payments failed before one succeeded."""
    count = 0
    for one in recent:
        if one.state not in MISSED:
            break
        count += 1
    return count

"""A check is a question about the facts; its answers become findings that know since when.

A finding is identified by its code and subject.  While it stays open it keeps its `since_ms`, also
when its severity or its words change.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from agent.health.facts import Facts
from protocol.health import Finding, Severity

SUBJECT_CHARACTERS_MAX = 128
SENTENCE_CHARACTERS_MAX = 512


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong now.

    subject  what it is about; empty for the node itself
    """

    severity: Severity
    detail: str
    remedy: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One question.

    code         of the findings that it opens
    question     returns what is wrong, nothing if all is well
    stops_sales  whether this node takes no new work while one of its findings is critical
    """

    code: str
    question: Callable[[Facts], Iterable[Complaint]]
    stops_sales: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass came to: the findings open after it, and which of them opened or closed in it."""

    standing: tuple[Finding, ...]
    opened: tuple[Finding, ...]
    closed: tuple[Finding, ...]


def findings(checks: Sequence[Check], facts: Facts) -> list[Finding]:
    """Return what is wrong by these checks, each since now.  One finding per code and subject."""
    found: dict[tuple[str, str], Finding] = {}
    for check in checks:
        for complaint in check.question(facts):
            finding = _finding(check.code, complaint, facts.at_ms)
            found.setdefault((finding.code, finding.subject), finding)
    return [found[key] for key in sorted(found)]


def outcome(before: Iterable[Finding], found: Iterable[Finding]) -> Outcome:
    """Return what stands after a pass that found `found`, where `before` stood open."""
    open_before = {(finding.code, finding.subject): finding for finding in before}
    standing: list[Finding] = []
    opened: list[Finding] = []
    for finding in found:
        known = open_before.pop((finding.code, finding.subject), None)
        if known is None:
            opened.append(finding)
            standing.append(finding)
        else:
            standing.append(msgspec.structs.replace(finding, since_ms=known.since_ms))
    return Outcome(tuple(standing), tuple(opened), tuple(open_before.values()))


def why_sales_stop(checks: Sequence[Check], standing: Iterable[Finding]) -> Finding | None:
    """Return the finding for which this node takes no new work, None while it may."""
    codes = {check.code for check in checks if check.stops_sales}
    for finding in standing:
        if finding.code in codes and finding.severity == "critical":
            return finding
    return None


def _finding(code: str, complaint: Complaint, at_ms: int) -> Finding:
    """Cut what is too long for the wire: a fault of a third party may say anything."""
    return Finding(
        code=code,
        severity=complaint.severity,
        subject=complaint.subject[:SUBJECT_CHARACTERS_MAX],
        since_ms=at_ms,
        detail=complaint.detail[:SENTENCE_CHARACTERS_MAX],
        remedy=complaint.remedy[:SENTENCE_CHARACTERS_MAX],
    )

"""An event of the feed: what happened, to whom, when, and what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass

KINDS = frozenset({"balance.state_changed", "balance.reminder"})
"""Every kind of event there is, as a receiver sees it."""

ID_CHARACTERS_MAX = 96

Value = str | int | None


@dataclass(frozen=True, slots=True)
class Event:
    """event_id  made of what happened, so that the same thing twice is one event
    subject   what it happened to: an organization, a workload
    facts     what is known of it; a receiver asks for the rest
    """

    event_id: str
    tenant_id: str
    kind: str
    subject: str
    facts: Mapping[str, Value]
    at_ms: int
    sequence: int = 0

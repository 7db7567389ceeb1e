"""An audit event: who did what to what, when, from where; and its place in the chain.

Each event's hash covers all its fields and the hash before it, so a row that is changed, removed
or slipped in later breaks the chain from there on.  Secrets are never part of an event.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

FIRST_HASH = "0" * 64
DETAIL_CHARACTERS_MAX = 4096
VALUE_CHARACTERS_MAX = 512


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One event as it stands in the chain.

    actor         a person's or API key's id, a node's id, or `registry`
    on_behalf_of  whose rights were used, when not the actor's own; else empty
    action        `allocation.launch`, `session.created`, …
    object_id     what it was done to, may be empty
    result        `done`, or why it was not
    detail        canonical JSON of what else matters
    """

    sequence: int
    at_ms: int
    actor: str
    on_behalf_of: str
    action: str
    object_id: str
    tenant_id: str | None
    result: str
    request_id: str
    source: str
    detail: str
    previous_hash: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What checking the chain found.  broken_at: the first sequence number that does not hold"""

    events: int
    head: str
    broken_at: int | None = None
    why: str = ""


def detail_text(detail: Mapping[str, str | int]) -> str:
    """Return the detail as canonical JSON; long values are cut."""
    cut = {
        name: value[:VALUE_CHARACTERS_MAX] if isinstance(value, str) else value
        for name, value in detail.items()
    }
    text = json.dumps(cut, sort_keys=True, separators=(",", ":"))
    assert len(text) <= DETAIL_CHARACTERS_MAX
    return text


def event_hash(event: AuditEvent) -> str:
    """Return the SHA-256 over every field, `previous_hash` among them."""
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def chain_report(chain: Iterable[tuple[AuditEvent, str]]) -> ChainReport:
    """Return what following the chain from its first event finds; pairs of event and kept hash."""
    count, before = 0, FIRST_HASH
    for event, kept in chain:
        expected = count + 1
        if event.sequence != expected:
            return ChainReport(count, before, expected, "an event is missing")
        if event.previous_hash != before:
            return ChainReport(count, before, expected, "it does not follow the event before it")
        if event_hash(event) != kept:
            return ChainReport(count, before, expected, "its fields are not those that were hashed")
        count, before = expected, kept
    return ChainReport(count, before)

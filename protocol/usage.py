"""Entries of a usage log: what they say, and the rules one entry keeps by itself.

Kinds: `use` a quantity over an interval; `opn` and `cls` an allocation opened and closed; `lse.c` a
budget lease closed; `hb` a sign of life; `ses` a session of a person; `key` another key signs from
here on; `adj` a record is corrected; `gap` time that was lost; `epoch` the log of a node whose
former log was lost.  An unknown kind or version parks the log.  Rules between entries (continuity,
capacity, conservation) are the registry's `usage/acceptance`.  The last five are in `log_events`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from protocol.canonical import (
    INTEGER,
    INTEGER_LIMIT,
    TEXT,
    Record,
    canonical,
    read_canonical,
)
from protocol.clock import MINUTE_MS, hour_of
from protocol.log_events import (
    HASH_PATTERN,
    KEY_ID_PATTERN,
    KEY_PATTERN,
    ORIGIN_PARTS_MAX,
    PATHS,
    VIAS,
    Adjusted,
    EpochBegun,
    Gap,
    KeyChanged,
    Session,
)
from protocol.refusal import LogRefused

VERSION = 1
INTERVAL_MS_MAX = 5 * MINUTE_MS
ACCELERATORS_MAX = 16
COUNT_MAX = 10**9
"""The most tokens, images or calls one record may count: with more, a few records of a lying node
would carry the sums of everybody's books past what a database can hold."""

AMOUNT_MAX = 10**13
"""The same for bytes, millijoules and MiB-seconds; the meters of time have their own bound."""


GPU_MS = "gpu.ms"
TOKENS_IN = "tok.in"
TOKENS_OUT = "tok.out"
REQUESTS = "req"
TIME_METERS = frozenset({GPU_MS})
AMOUNT_METERS = frozenset({"sto.mib_s", "net.out_b", "en.mj"})
METERS = frozenset(
    {
        GPU_MS,
        TOKENS_IN,
        "tok.cached",
        TOKENS_OUT,
        "img",
        REQUESTS,
        "sto.mib_s",
        "net.out_b",
        "en.mj",
    }
)


USE_PATTERN = re.compile(
    rf'\{{"alc":"{TEXT}","cum":{INTEGER},"k":"use","lse":{INTEGER},"m":"{TEXT}","prj":"{TEXT}",'
    rf'"q":{INTEGER},"sku":"{TEXT}","t0":{INTEGER},"t1":{INTEGER},"ten":"{TEXT}","v":1\}}'
)


@dataclass(frozen=True, slots=True)
class Use:
    """`quantity` of `meter` in [begin_ms, end_ms); `cumulative` is the stream's total after it.

    allocation_id  the stream's owner: an allocation, or an API key for inference
    rows_root      base64 of the root over the calls it counts (`protocol/call_row`), or empty
    """

    allocation_id: str
    tenant_id: str
    project_id: str
    sku: str
    meter: str
    lease_id: int
    begin_ms: int
    end_ms: int
    quantity: int
    cumulative: int
    rows_root: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """An allocation began to hold these accelerators, in this container, in this boot."""

    allocation_id: str
    tenant_id: str
    project_id: str
    sku: str
    at_ms: int
    boot_id: str
    container_id: str
    accelerators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Closed:
    """An allocation let its accelerators go."""

    allocation_id: str
    at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class LeaseClosed:
    """Nothing more will be spent from this lease on this node; `spent` is the node's own count."""

    lease_id: int
    tenant_id: str
    at_ms: int
    spent: int
    reason: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The node was alive: wall clock, boottime, and its estimated skew to the registry."""

    at_ms: int
    boottime_ms: int
    skew_ms: int


Entry = (
    Use
    | Opened
    | Closed
    | LeaseClosed
    | Heartbeat
    | Session
    | KeyChanged
    | Adjusted
    | Gap
    | EpochBegun
)


def quantity_max(meter: str) -> int:
    """Return the most that one record of a meter may count."""
    return AMOUNT_MAX if meter in AMOUNT_METERS else COUNT_MAX


def entry_bytes(entry: Entry) -> bytes:
    """Return the canonical bytes of an entry."""
    if type(entry) is Use and not entry.rows_root:
        return _use_bytes(entry)
    return canonical(_record(entry))


def read_entry(raw: bytes) -> Entry:
    """Return the entry that bytes spell; refuse by name what breaks a rule of a single entry."""
    record = read_canonical(raw)
    if record.get("v") != VERSION:
        raise LogRefused("entry_unknown_version", f"An entry has version {record.get('v')!r}.")
    form = _FORM_OF_KIND.get(str(record.get("k")))
    if form is None:
        raise LogRefused("entry_unknown_kind", f"An entry is of kind {record.get('k')!r}.")
    try:
        entry = form.make(**_values(form, record))
    except KeyError as error:
        raise LogRefused("entry_malformed", f"An entry lacks {error}.") from None
    if form.check is not None:
        form.check(entry)
    if _record(entry) != record:
        raise LogRefused("entry_malformed", "An entry has fields that its kind does not have.")
    return entry


def _use_bytes(use: Use) -> bytes:
    """Return what `canonical` would of a record, which most entries are, written out at once."""
    counts = (use.cumulative, use.lease_id, use.quantity, use.begin_ms, use.end_ms)
    assert 0 <= min(counts) <= max(counts) < INTEGER_LIMIT, use
    text = (
        f'{{"alc":"{use.allocation_id}","cum":{use.cumulative},"k":"use","lse":{use.lease_id},'
        f'"m":"{use.meter}","prj":"{use.project_id}","q":{use.quantity},"sku":"{use.sku}",'
        f'"t0":{use.begin_ms},"t1":{use.end_ms},"ten":"{use.tenant_id}","v":{VERSION}}}'
    )
    assert USE_PATTERN.fullmatch(text), use
    return text.encode("ascii")


def _check_use(use: Use) -> None:
    if use.meter not in METERS:
        raise LogRefused("meter_unknown", f"No meter is called {use.meter!r}.")
    if use.quantity > quantity_max(use.meter):
        raise LogRefused("quantity_implausible", "A record counts more than any node could do.")
    if not 0 < use.end_ms - use.begin_ms <= INTERVAL_MS_MAX:
        raise LogRefused("interval_wrong", "An interval is empty, reversed or over 300 s.")
    if hour_of(use.begin_ms) != hour_of(use.end_ms - 1):
        raise LogRefused("interval_over_hour", "An interval goes across a UTC hour.")
    if use.quantity > use.cumulative:
        raise LogRefused("cumulative_wrong", "A quantity is larger than its cumulative count.")
    if use.rows_root and (use.meter in TIME_METERS or not HASH_PATTERN.fullmatch(use.rows_root)):
        raise LogRefused("rows_root_wrong", "det is a SHA-256 hash in base64, of counted calls.")


def _check_opened(opened: Opened) -> None:
    if len(set(opened.accelerators)) != len(opened.accelerators):
        raise LogRefused("accelerator_twice", "An allocation names an accelerator twice.")


def _check_session(session: Session) -> None:
    if session.via not in VIAS or session.path not in PATHS:
        raise LogRefused("session_unknown", "A session came over a way that there is not.")
    if session.end_ms < session.begin_ms:
        raise LogRefused("interval_wrong", "A session ended before it began.")


def _check_key(changed: KeyChanged) -> None:
    if not (KEY_PATTERN.fullmatch(changed.public_key) and KEY_ID_PATTERN.fullmatch(changed.key_id)):
        raise LogRefused("key_unreadable", "A key is not the end of a C2SP verifier key.")


def _check_adjusted(adjusted: Adjusted) -> None:
    if adjusted.meter not in METERS:
        raise LogRefused("meter_unknown", f"No meter is called {adjusted.meter!r}.")
    if not 0 < abs(adjusted.quantity) <= quantity_max(adjusted.meter):
        raise LogRefused("quantity_implausible", "An adjustment is of nothing, or of too much.")


def _check_gap(gap: Gap) -> None:
    if gap.end_ms <= gap.begin_ms:
        raise LogRefused("interval_wrong", "A gap is empty or reversed.")


def _check_epoch(begun: EpochBegun) -> None:
    if begun.epoch < 1 or not begun.origin_parts or not HASH_PATTERN.fullmatch(begun.root):
        raise LogRefused("entry_malformed", "An epoch names no predecessor.")


@dataclass(frozen=True, slots=True)
class _Form:
    """How a kind is spelled.

    texts, counts, signed, optional  attribute by field; an optional text is left out where empty
    listed  (attribute, field prefix, field that counts them, the most there may be)
    """

    kind: str
    make: Callable[..., Entry]
    texts: Mapping[str, str]
    counts: Mapping[str, str]
    signed: Mapping[str, str] = field(default_factory=dict)
    optional: Mapping[str, str] = field(default_factory=dict)
    listed: tuple[str, str, str, int] | None = None
    check: Callable[[Any], None] | None = None


_PAYER = {"alc": "allocation_id", "ten": "tenant_id", "prj": "project_id"}
_USED = _PAYER | {"sku": "sku", "m": "meter"}
_FORMS: dict[type, _Form] = {
    Use: _Form(
        "use",
        Use,
        _USED,
        {"lse": "lease_id", "t0": "begin_ms", "t1": "end_ms", "q": "quantity", "cum": "cumulative"},
        optional={"det": "rows_root"},
        check=_check_use,
    ),
    Opened: _Form(
        "opn",
        Opened,
        _PAYER | {"sku": "sku", "boot": "boot_id", "con": "container_id"},
        {"t": "at_ms"},
        listed=("accelerators", "g", "n", ACCELERATORS_MAX),
        check=_check_opened,
    ),
    Closed: _Form("cls", Closed, {"alc": "allocation_id", "r": "reason"}, {"t": "at_ms"}),
    LeaseClosed: _Form(
        "lse.c",
        LeaseClosed,
        {"ten": "tenant_id", "r": "reason"},
        {"lse": "lease_id", "t": "at_ms", "amt": "spent"},
    ),
    Heartbeat: _Form(
        "hb", Heartbeat, {}, {"t": "at_ms", "bt": "boottime_ms"}, signed={"skew": "skew_ms"}
    ),
    Session: _Form(
        "ses",
        Session,
        _PAYER | {"alc": "object_id", "who": "who", "via": "via", "path": "path", "r": "reason"},
        {"t0": "begin_ms", "t1": "end_ms", "in": "bytes_in", "out": "bytes_out"},
        check=_check_session,
    ),
    KeyChanged: _Form(
        "key", KeyChanged, {"id": "key_id", "pk": "public_key"}, {"t": "at_ms"}, check=_check_key
    ),
    Adjusted: _Form(
        "adj",
        Adjusted,
        _USED | {"r": "reason"},
        {"ref": "reference", "t": "at_ms"},
        signed={"q": "quantity"},
        check=_check_adjusted,
    ),
    Gap: _Form(
        "gap",
        Gap,
        {"alc": "allocation_id", "r": "reason"},
        {"t0": "begin_ms", "t1": "end_ms"},
        check=_check_gap,
    ),
    EpochBegun: _Form(
        "epoch",
        EpochBegun,
        {"root": "root"},
        {"e": "epoch", "n": "size", "t": "at_ms"},
        listed=("origin_parts", "o", "c", ORIGIN_PARTS_MAX),
        check=_check_epoch,
    ),
}
_FORM_OF_KIND = {form.kind: form for form in _FORMS.values()}


def _record(entry: Entry) -> Record:
    form = _FORMS[type(entry)]
    record: dict[str, int | str] = {"k": form.kind, "v": VERSION}
    for fields in (form.texts, form.counts, form.signed):
        for name, attribute in fields.items():
            record[name] = getattr(entry, attribute)
    for name, attribute in form.optional.items():
        if value := getattr(entry, attribute):
            record[name] = value
    if form.listed is not None:
        attribute, prefix, count, _ = form.listed
        listed = getattr(entry, attribute)
        record[count] = len(listed)
        record |= {f"{prefix}{at}": value for at, value in enumerate(listed)}
    return record


def _values(form: _Form, record: Record) -> dict[str, Any]:
    values: dict[str, Any] = {
        attribute: _text(record, name) for name, attribute in form.texts.items()
    }
    values |= {attribute: _count(record, name) for name, attribute in form.counts.items()}
    values |= {attribute: _integer(record, name) for name, attribute in form.signed.items()}
    for name, attribute in form.optional.items():
        if name in record:
            values[attribute] = _text(record, name)
    if form.listed is not None:
        attribute, prefix, count, most = form.listed
        number = _count(record, count)
        if number > most:
            raise LogRefused("entry_malformed", f"{count} is {number}, more than {most}.")
        values[attribute] = tuple(_text(record, f"{prefix}{at}") for at in range(number))
    return values


def _text(record: Record, name: str) -> str:
    value = record[name]
    if not isinstance(value, str):
        raise LogRefused("entry_malformed", f"{name} is not text.")
    return value


def _integer(record: Record, name: str) -> int:
    value = record[name]
    if not isinstance(value, int):
        raise LogRefused("entry_malformed", f"{name} is not an integer.")
    return value


def _count(record: Record, name: str) -> int:
    value = _integer(record, name)
    if value < 0:
        raise LogRefused("entry_negative", f"{name} is negative.")
    return value

"""Entries of a usage log: what they say, and the rules one entry keeps by itself.

Kinds: `use` a quantity over an interval; `opn` and `cls` an allocation opened and closed; `lse.c` a
budget lease closed; `hb` a sign of life.  An unknown kind or version parks the log.  Rules between
entries (continuity, capacity, conservation) are the registry's `usage/acceptance`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from protocol.canonical import Record, canonical, read_canonical
from protocol.clock import MINUTE_MS, hour_of
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


@dataclass(frozen=True, slots=True)
class Use:
    """`quantity` of `meter` in [begin_ms, end_ms); `cumulative` is the stream's total after it.

    allocation_id  the stream's owner: an allocation, or an API key for inference
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


Entry = Use | Opened | Closed | LeaseClosed | Heartbeat


def entry_bytes(entry: Entry) -> bytes:
    """Return the canonical bytes of an entry."""
    return canonical(_record(entry))


def read_entry(raw: bytes) -> Entry:
    """Return the entry that bytes spell; refuse by name what breaks a rule of a single entry."""
    record = read_canonical(raw)
    if record.get("v") != VERSION:
        raise LogRefused("entry_unknown_version", f"An entry has version {record.get('v')!r}.")
    reader = _READERS.get(str(record.get("k")))
    if reader is None:
        raise LogRefused("entry_unknown_kind", f"An entry is of kind {record.get('k')!r}.")
    try:
        entry = reader(record)
    except (KeyError, TypeError, ValueError) as error:
        raise LogRefused("entry_malformed", f"An entry lacks or misspells {error}.") from None
    if _record(entry) != record:
        raise LogRefused("entry_malformed", "An entry has fields that its kind does not have.")
    return entry


def quantity_max(meter: str) -> int:
    """Return the most that one record of a meter may count."""
    return AMOUNT_MAX if meter in AMOUNT_METERS else COUNT_MAX


def _record(entry: Entry) -> Record:
    match entry:
        case Use():
            return {
                "alc": entry.allocation_id, "cum": entry.cumulative, "k": "use",
                "lse": entry.lease_id, "m": entry.meter, "prj": entry.project_id,
                "q": entry.quantity, "sku": entry.sku, "t0": entry.begin_ms, "t1": entry.end_ms,
                "ten": entry.tenant_id, "v": VERSION,
            }  # fmt: skip
        case Opened():
            held = {f"g{at}": uuid for at, uuid in enumerate(entry.accelerators)}
            return {
                "alc": entry.allocation_id, "boot": entry.boot_id, "con": entry.container_id,
                "k": "opn", "n": len(held), "prj": entry.project_id, "sku": entry.sku,
                "t": entry.at_ms, "ten": entry.tenant_id, "v": VERSION, **held,
            }  # fmt: skip
        case Closed():
            return {
                "alc": entry.allocation_id, "k": "cls", "r": entry.reason, "t": entry.at_ms,
                "v": VERSION,
            }  # fmt: skip
        case LeaseClosed():
            return {
                "amt": entry.spent, "k": "lse.c", "lse": entry.lease_id, "r": entry.reason,
                "t": entry.at_ms, "ten": entry.tenant_id, "v": VERSION,
            }  # fmt: skip
        case Heartbeat():
            return {
                "bt": entry.boottime_ms, "k": "hb", "skew": entry.skew_ms, "t": entry.at_ms,
                "v": VERSION,
            }  # fmt: skip


def _use(record: Record) -> Use:
    use = Use(
        allocation_id=_text(record, "alc"),
        tenant_id=_text(record, "ten"),
        project_id=_text(record, "prj"),
        sku=_text(record, "sku"),
        meter=_text(record, "m"),
        lease_id=_count(record, "lse"),
        begin_ms=_count(record, "t0"),
        end_ms=_count(record, "t1"),
        quantity=_count(record, "q"),
        cumulative=_count(record, "cum"),
    )
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
    return use


def _opened(record: Record) -> Opened:
    count = _count(record, "n")
    if count > ACCELERATORS_MAX:
        raise LogRefused("entry_malformed", f"An allocation holds {count} accelerators.")
    held = tuple(_text(record, f"g{at}") for at in range(count))
    if len(set(held)) != count:
        raise LogRefused("accelerator_twice", "An allocation names an accelerator twice.")
    return Opened(
        allocation_id=_text(record, "alc"),
        tenant_id=_text(record, "ten"),
        project_id=_text(record, "prj"),
        sku=_text(record, "sku"),
        at_ms=_count(record, "t"),
        boot_id=_text(record, "boot"),
        container_id=_text(record, "con"),
        accelerators=held,
    )


def _closed(record: Record) -> Closed:
    return Closed(
        allocation_id=_text(record, "alc"), at_ms=_count(record, "t"), reason=_text(record, "r")
    )


def _lease_closed(record: Record) -> LeaseClosed:
    return LeaseClosed(
        lease_id=_count(record, "lse"),
        tenant_id=_text(record, "ten"),
        at_ms=_count(record, "t"),
        spent=_count(record, "amt"),
        reason=_text(record, "r"),
    )


def _heartbeat(record: Record) -> Heartbeat:
    skew_ms = record["skew"]
    if not isinstance(skew_ms, int):
        raise LogRefused("entry_malformed", "skew is not an integer.")
    return Heartbeat(at_ms=_count(record, "t"), boottime_ms=_count(record, "bt"), skew_ms=skew_ms)


_READERS: dict[str, Callable[[Record], Entry]] = {
    "use": _use,
    "opn": _opened,
    "cls": _closed,
    "lse.c": _lease_closed,
    "hb": _heartbeat,
}


def _text(record: Record, name: str) -> str:
    value = record[name]
    if not isinstance(value, str):
        raise LogRefused("entry_malformed", f"{name} is not text.")
    return value


def _count(record: Record, name: str) -> int:
    value = record[name]
    if not isinstance(value, int):
        raise LogRefused("entry_malformed", f"{name} is not an integer.")
    if value < 0:
        raise LogRefused("entry_negative", f"{name} is negative.")
    return value

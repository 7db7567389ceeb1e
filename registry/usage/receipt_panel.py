"""The page of a receipt: each step of its proof by itself, and the record it proves."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from protocol.canonical import Record, read_canonical
from protocol.checkpoint import read_checkpoint, witness_name
from protocol.clock import HOUR_MS, SECOND_MS
from protocol.ids import is_id
from protocol.merkle import leaf_hash, root_from_inclusion
from protocol.note import cosigned_at_s, is_note_signed
from protocol.price import Price, charge, price_at
from protocol.receipt import read_receipt, verify_receipt
from protocol.refusal import LogRefused
from protocol.usage import GPU_MS, REQUESTS
from web.format import meter_name, money_exact, utc_time
from web.view_models.billing import RecordRow
from web.view_models.parts import Check, Fact

MILLION = 1_000_000
FIELDS: Mapping[str, tuple[str, str]] = {
    "k": ("Kind", "text"),
    "alc": ("Owner", "code"),
    "ten": ("Organization", "code"),
    "prj": ("Project", "code"),
    "sku": ("SKU", "text"),
    "m": ("Meter", "code"),
    "q": ("Quantity", "count"),
    "cum": ("Total of the stream", "count"),
    "t0": ("From", "time"),
    "t1": ("To", "time"),
    "t": ("At", "time"),
    "lse": ("Budget", "text"),
    "boot": ("Boot", "code"),
    "con": ("Container", "code"),
    "v": ("Version", "text"),
}


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signatures a receipt needs.  witness_keys: public keys of the registry"""

    origin: str
    node_key: bytes
    domain: str
    witness_keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of checking a receipt.  size: entries of the log it was checked against"""

    verified: bool
    checks: tuple[Check, ...]
    record: Record
    size: int


def verdict(text: str, trust: Trust) -> Verdict:
    """Check a receipt as anybody could: it holds only if the protocol's own check passes."""
    receipt = read_receipt(text)
    checkpoint, note = read_checkpoint(receipt.checkpoint_note)
    witness = witness_name(trust.domain)
    seen = [
        cosigned_at_s(note, name=witness, public_key=public_key)
        for public_key in trust.witness_keys
    ]
    seen_at_s = next((at_s for at_s in seen if at_s is not None), None)
    leaf = leaf_hash(receipt.entry)
    root = root_from_inclusion(receipt.index, checkpoint.size, leaf, receipt.proof)
    when = "" if seen_at_s is None else f", seen {utc_time(seen_at_s * SECOND_MS)}"
    steps = (
        (checkpoint.origin == trust.origin, "The checkpoint is of this log"),
        (
            is_note_signed(note, name=trust.origin, public_key=trust.node_key),
            "The node signed the checkpoint",
        ),
        (seen_at_s is not None, f"The registry signed that it saw the same checkpoint{when}"),
        (root == checkpoint.root, f"{len(receipt.proof)} hashes lead from the record to its root"),
    )
    return Verdict(
        verified=all(holds for holds, _ in steps) and _holds(text, trust),
        checks=tuple(Check("ok" if holds else "bad", words) for holds, words in steps),
        record=read_canonical(receipt.entry),
        size=checkpoint.size,
    )


def entry_facts(record: Record) -> tuple[Fact, ...]:
    """Return the record name by name, in the order it is best read."""
    known = [name for name in FIELDS if name in record]
    others = [name for name in sorted(record) if name not in FIELDS]
    return tuple(
        Fact(f"{FIELDS[name][0]} ({name})", record[name], _kind(FIELDS[name][1], record[name]))
        for name in known
    ) + tuple(Fact(name, record[name], "code") for name in others)


def price_words(price: Price | None) -> str:
    """Return a price as people compare it: per hour, per million tokens, per request."""
    if price is None:
        return "none in force"
    if price.meter == GPU_MS:
        return f"{money_exact(price.num * HOUR_MS // price.den)} per GPU hour"
    if price.meter == REQUESTS:
        return f"{money_exact(price.num // price.den)} per request"
    million = money_exact(price.num * MILLION // price.den)
    return f"{million} per million {meter_name(price.meter).lower()}"


def rated(record: Record, prices: Iterable[Price]) -> tuple[Price | None, int]:
    """Return the price in force for a `use` record, and what the record comes to by it."""
    sku, meter = str(record["sku"]), str(record["m"])
    price = price_at(prices, sku=sku, meter=meter, at_ms=int(record["t0"]))
    if price is None:
        return None, 0
    after = int(record["cum"])
    return price, charge(price, before=after - int(record["q"]), after=after)


def use_records(
    entries: Iterable[bytes], *, begin: int, is_wanted: Callable[[Record], bool]
) -> list[tuple[int, Record]]:
    """Return the `use` records that are wanted with their index; `begin` is that of the first."""
    read = enumerate(map(read_canonical, entries), start=begin)
    return [(at, record) for at, record in read if record.get("k") == "use" and is_wanted(record)]


def record_row(index: int, record: Record, prices: Iterable[Price], *, origin: str) -> RecordRow:
    """Return a `use` record as one line behind a charge."""
    owner = str(record["alc"])
    return RecordRow(
        index=index,
        owner=owner,
        owner_kind=owner_kind(owner),
        owner_href=owner_href(owner),
        from_at_ms=int(record["t0"]),
        to_at_ms=int(record["t1"]),
        quantity=int(record["q"]),
        unit=str(record["m"]),
        micros=rated(record, prices)[1],
        href=f"/billing/receipts/{origin}/{index}",
    )


def owner_kind(owner: str) -> str:
    """Return what an owner of usage is, in a word."""
    return "Workload" if is_id(owner, "allocation") else "API key"


def owner_href(owner: str) -> str:
    """Return the page of an owner of usage."""
    return f"/workloads/{owner}" if is_id(owner, "allocation") else "/access/api-keys"


def _holds(text: str, trust: Trust) -> bool:
    for public_key in trust.witness_keys:
        try:
            verify_receipt(
                text,
                node_key=trust.node_key,
                witness=witness_name(trust.domain),
                witness_key=public_key,
            )
        except LogRefused:
            continue
        return True
    return False


def _kind(kind: str, value: int | str) -> str:
    return "text" if kind in ("count", "time") and isinstance(value, str) else kind

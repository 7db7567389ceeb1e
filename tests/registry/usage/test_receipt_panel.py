"""A receipt checked step by step: whatever is changed in it, a step says so."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocol.checkpoint import Checkpoint, cosignature, log_origin, signed_checkpoint, witness_name
from protocol.clock import HOUR_MS
from protocol.ids import new_id
from protocol.merkle import leaf_hash
from protocol.price import Price, charge
from protocol.receipt import Receipt, receipt_text
from protocol.signing import public_bytes
from protocol.usage import Closed, Use, entry_bytes
from registry.usage.receipt_panel import (
    Trust,
    entry_facts,
    owner_href,
    owner_kind,
    price_words,
    rated,
    record_row,
    use_records,
    verdict,
)

DOMAIN = "cloud.example"
NODE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
REGISTRY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
ORIGIN = log_origin(DOMAIN, "n_1", 0)
BEGIN_MS = 498_660 * HOUR_MS
USE = Use("a_1", "t_1", "p_1", "h100", "gpu.ms", 7, BEGIN_MS, BEGIN_MS + 60_000, 60_000, 90_000)
TRUST = Trust(ORIGIN, public_bytes(NODE), DOMAIN, (public_bytes(REGISTRY),))


def test_a_true_receipt_passes_every_step() -> None:
    found = verdict(_text(), TRUST)

    assert found.verified
    assert {check.tone for check in found.checks} == {"ok"}
    assert found.record["alc"] == "a_1"


@pytest.mark.parametrize(
    ("text_of", "step"),
    [
        (lambda: _text(origin=log_origin(DOMAIN, "n_2", 0)), 0),
        (lambda: _text(node=STRANGER), 1),
        (lambda: _text(registry=STRANGER), 2),
        (lambda: _text(entry=entry_bytes(replace(USE, quantity=1))), 3),
    ],
)
def test_a_false_step_is_the_one_that_is_shown(text_of, step: int) -> None:  # type: ignore[no-untyped-def]  # a parameter
    found = verdict(text_of(), TRUST)

    assert not found.verified
    assert found.checks[step].tone == "bad"


def test_a_key_that_rotates_is_trusted_beside_the_present_one() -> None:
    both = replace(TRUST, witness_keys=(public_bytes(STRANGER), public_bytes(REGISTRY)))

    assert verdict(_text(), both).verified


def test_a_record_comes_to_the_difference_of_its_cumulative_counts() -> None:
    price = Price("h100", "gpu.ms", 1, 1, 7, BEGIN_MS - HOUR_MS)

    found, micros = rated({"sku": "h100", "m": "gpu.ms", "q": 60_000, "cum": 90_000,
                           "t0": BEGIN_MS}, [price])  # fmt: skip

    assert found == price
    assert micros == 90_000 // 7 - 30_000 // 7


@pytest.mark.parametrize(
    ("price", "words"),
    [
        (Price("h", "gpu.ms", 1, 1, 1, 0), "$3.60 per GPU hour"),
        (Price("m", "tok.in", 1, 150_000, 1_000_000, 0), "$0.15 per million tokens in"),
        (Price("m", "req", 1, 3, 1, 0), "$0.000003 per request"),
        (None, "none in force"),
    ],
)
def test_a_price_is_said_as_people_compare_it(price: Price | None, words: str) -> None:
    assert price_words(price) == words


def test_every_name_of_a_record_is_shown() -> None:
    record = verdict(_text(), TRUST).record

    facts = entry_facts(record)

    assert len(facts) == len(record)
    assert {fact.kind for fact in facts} <= {"text", "code", "count", "time"}


def test_the_wanted_uses_are_found_among_other_entries_and_sum_to_their_stream() -> None:
    other = entry_bytes(replace(USE, tenant_id="t_2"))
    later = replace(USE, begin_ms=USE.end_ms, end_ms=USE.end_ms + 60_000, cumulative=150_000)
    entries = [entry_bytes(USE), other, entry_bytes(later), entry_bytes(Closed("a_1", 1, "gone"))]
    prices = [Price("h100", "gpu.ms", 1, 2_500_001, HOUR_MS, 0)]

    found = use_records(entries, begin=10, is_wanted=lambda one: one["ten"] == "t_1")
    rows = [record_row(at, record, prices, origin=ORIGIN) for at, record in found]

    assert [row.index for row in rows] == [10, 12]
    assert sum(row.micros for row in rows) == charge(prices[0], before=30_000, after=150_000)
    assert rows[1].href == f"/billing/receipts/{ORIGIN}/12"
    assert use_records(entries, begin=0, is_wanted=lambda one: one["ten"] == "t_3") == []


def test_an_owner_is_named_for_what_it_is() -> None:
    allocation = new_id("allocation", now_ms=0, entropy=bytes(12))
    key = new_id("api_key", now_ms=0, entropy=bytes(12))

    assert (owner_kind(allocation), owner_href(allocation)) == (
        "Workload",
        f"/workloads/{allocation}",
    )
    assert (owner_kind(key), owner_href(key)) == ("API key", "/access/api-keys")


def _text(
    *,
    origin: str = ORIGIN,
    node: Ed25519PrivateKey = NODE,
    registry: Ed25519PrivateKey = REGISTRY,
    entry: bytes | None = None,
) -> str:
    """A receipt of a log with one entry; `entry` replaces it after it was signed."""
    checkpoint = Checkpoint(origin, 1, leaf_hash(entry_bytes(USE)))
    note = signed_checkpoint(checkpoint, node)
    seen = cosignature(checkpoint, witness=witness_name(DOMAIN), key=registry, at_s=1_795_176_000)
    return receipt_text(Receipt(entry or entry_bytes(USE), 0, (), note + seen))

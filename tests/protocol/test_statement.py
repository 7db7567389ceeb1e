"""A statement holds as it was drawn up, and nothing else can be made of it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.checkpoint import Checkpoint, cosignature, signed_checkpoint
from protocol.merkle import inclusion_proof, leaf_hash, root_of, subtrees_of
from protocol.note import TYPE_COSIGNATURE, verifier_key
from protocol.price import Price, charge
from protocol.receipt import Receipt, receipt_text
from protocol.refusal import LogRefused
from protocol.signing import SigningKey, new_signing_key, public_bytes
from protocol.statement import (
    FORMAT,
    SKEW_MS_MAX,
    LogKeys,
    Statement,
    StatementLine,
    signed_statement,
    verify_statement,
)
from protocol.usage import Use, entry_bytes

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
BEGIN_MS = 498_660 * HOUR_MS
ORIGIN = "cloud.example/log/n_1/0"
WITNESS = "cloud.example/witness"
NODE = new_signing_key(bytes(range(32)))
ROTATED = new_signing_key(bytes(range(1, 33)))
REGISTRY = new_signing_key(bytes(32))
STRANGER = new_signing_key(bytes([7] * 32))
PRICES = [
    Price("h100", "gpu.ms", 1, 2_500_001, HOUR_MS, 0),
    Price("h100", "gpu.ms", 2, 3_100_003, HOUR_MS, BEGIN_MS + HOUR_MS),
]
USES = [
    Use(
        "a_1", "t_1", "p_1", "h100", "gpu.ms", 1, BEGIN_MS + at * MINUTE_MS,
        BEGIN_MS + (at + 1) * MINUTE_MS, MINUTE_MS, (at + 11) * MINUTE_MS,
    )
    for at in range(120)
]  # fmt: skip
ENTRIES = [entry_bytes(use) for use in USES]
HASHES = [leaf_hash(entry) for entry in ENTRIES]
CHECKPOINT = Checkpoint(ORIGIN, len(ENTRIES), root_of(HASHES))


def test_a_statement_holds_and_says_what_it_rests_on() -> None:
    found = verify_statement(statement())

    due = [charge(PRICES[0], before=10 * MINUTE_MS, after=70 * MINUTE_MS)]
    due.append(charge(PRICES[1], before=70 * MINUTE_MS, after=130 * MINUTE_MS))
    assert (found.lines, found.receipts, found.total_micros) == (2, 4, sum(due))
    assert found.seen_at_s == 1_800_000_000


def test_the_registrys_key_that_the_reader_knows_is_held_against_it() -> None:
    known = verifier_key(WITNESS, public_bytes(REGISTRY), TYPE_COSIGNATURE)
    other = verifier_key(WITNESS, public_bytes(STRANGER), TYPE_COSIGNATURE)

    assert verify_statement(statement(), witness_vkey=known).lines == 2
    with pytest.raises(LogRefused, match="statement_signature"):
        verify_statement(statement(), witness_vkey=other)


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "2026-10"},
        {"tenant_name": "Somebody else"},
        {"currency": "KES"},
        {"made_at_ms": 1},
        {"lines": (), "total_micros": 0},
        {"signature": ""},
        {"signature": "AAAA"},
    ],
)
def test_what_the_registry_signed_cannot_be_renamed_or_shortened(change: dict[str, Any]) -> None:
    forged = msgspec.structs.replace(statement(), **change)

    with pytest.raises(LogRefused, match="statement_signature"):
        verify_statement(forged)


def test_receipts_that_the_registry_did_not_cosign_prove_nothing() -> None:
    first, second = lines()
    foreign = msgspec.structs.replace(first, first=receipt(0, by=STRANGER))

    with pytest.raises(LogRefused, match="cosignature_missing"):
        verify_statement(statement(lines=(foreign, second)))


def test_a_log_whose_key_was_rotated_is_proven_by_either_key() -> None:
    keys = tuple(verifier_key(ORIGIN, public_bytes(key)) for key in (ROTATED, NODE))

    assert verify_statement(statement(logs=(LogKeys(ORIGIN, keys),))).lines == 2


def test_an_empty_statement_comes_to_nothing() -> None:
    found = verify_statement(statement(lines=(), total_micros=0))

    assert (found.lines, found.total_micros, found.seen_at_s) == (0, 0, None)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("statement_format", {"format": "outstation-statement/v2"}),
        ("statement_total", {"total_micros": 1}),
        ("statement_total", {"lines": ()}),
        ("receipt_elsewhere", {"tenant_id": "t_2"}),
        ("log_unknown", {"logs": ()}),
        ("checkpoint_signature", {"logs": "stranger"}),
        ("line_outside", {"begin_at_ms": BEGIN_MS + SKEW_MS_MAX + 1}),
        ("line_outside", {"end_at_ms": BEGIN_MS}),
    ],
)
def test_what_was_changed_in_a_statement_is_named(code: str, change: dict[str, Any]) -> None:
    if change.get("logs") == "stranger":
        vkey = verifier_key(ORIGIN, public_bytes(STRANGER))
        change = {"logs": (LogKeys(ORIGIN, (vkey,)),)}

    with pytest.raises(LogRefused, match=code):
        verify_statement(statement(**change))


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("receipt_elsewhere", {"owner": "a_2"}),
        ("receipt_elsewhere", {"meter": "tok.in"}),
        ("receipt_elsewhere", {"sku": "h200"}),
        ("receipt_elsewhere", {"project": "p_2"}),
        ("log_unknown", {"origin": "cloud.example/log/n_2/0"}),
        ("line_interval", {"begin_at_ms": BEGIN_MS + 1}),
        ("line_interval", {"end_at_ms": BEGIN_MS + 1}),
        ("line_counts", {"cum_before": 0}),
        ("line_counts", {"cum_after": 71 * MINUTE_MS}),
        ("line_amount", {"charged_micros": 0}),
        ("line_amount", {"unbilled_micros": 1}),
        ("line_amount", {"price": PRICES[0].__class__("h100", "gpu.ms", 1, 2, HOUR_MS, 0)}),
        ("line_price", {"price": Price("h200", "gpu.ms", 1, 2_500_001, HOUR_MS, 0)}),
        ("line_price", {"price": PRICES[1]}),
        ("receipt_malformed", {"first": ""}),
    ],
)
def test_what_was_changed_in_a_line_is_named_with_the_line(
    code: str, change: dict[str, Any]
) -> None:
    first, second = lines()

    with pytest.raises(LogRefused, match=code) as refused:
        verify_statement(statement(lines=(msgspec.structs.replace(first, **change), second)))

    assert refused.value.message.startswith("Line 1 (train):")


def test_the_same_usage_is_not_charged_in_two_lines() -> None:
    first, _ = lines()
    total = 2 * first.charged_micros

    with pytest.raises(LogRefused, match="lines_overlap"):
        verify_statement(statement(lines=(first, first), total_micros=total))


def test_a_line_that_was_left_out_between_two_of_its_stream_is_missed() -> None:
    with pytest.raises(LogRefused, match="lines_overlap"):
        verify_statement(of_lines(line(0, 9, PRICES[0]), line(20, 59, PRICES[0])))


@given(st.integers(0, 59), st.integers(0, 59))
def test_any_stretch_of_a_stream_is_proven_by_its_two_ends(one: int, other: int) -> None:
    made = line(min(one, other), max(one, other), PRICES[0])

    found = verify_statement(of_lines(made))

    assert found.total_micros == made.charged_micros


@given(st.data())
def test_a_receipt_of_another_record_never_proves_a_line(data: st.DataObject) -> None:
    wrong = data.draw(st.integers(1, 58))
    first, second = lines()
    changed = msgspec.structs.replace(
        first, **{data.draw(st.sampled_from(["first", "last"])): receipt(wrong)}
    )

    with pytest.raises(LogRefused, match="line_interval"):
        verify_statement(statement(lines=(changed, second)))


def statement(**changes: Any) -> Statement:
    """Two hours of one stream over a change of its price."""
    made = of_lines(*lines())
    changed = msgspec.structs.replace(made, **changes)
    return changed if "signature" in changes else signed_statement(changed, REGISTRY)


def of_lines(*made: StatementLine) -> Statement:
    made_ = Statement(
        format=FORMAT,
        tenant_id="t_1",
        tenant_name="Umoja Edge",
        subject="2026-11",
        currency="USD",
        begin_at_ms=BEGIN_MS,
        end_at_ms=BEGIN_MS + 2 * HOUR_MS,
        made_at_ms=BEGIN_MS + 3 * HOUR_MS,
        witness_vkey=verifier_key(WITNESS, public_bytes(REGISTRY), TYPE_COSIGNATURE),
        logs=(LogKeys(ORIGIN, (verifier_key(ORIGIN, public_bytes(NODE)),)),),
        lines=made,
        total_micros=sum(one.charged_micros for one in made),
    )
    return signed_statement(made_, REGISTRY)


def lines() -> tuple[StatementLine, StatementLine]:
    return line(0, 59, PRICES[0]), line(60, 119, PRICES[1])


def line(first: int, last: int, price: Price) -> StatementLine:
    before = USES[first].cumulative - USES[first].quantity
    after = USES[last].cumulative
    return StatementLine(
        owner="a_1",
        name="train",
        project="p_1",
        sku="h100",
        simulated=False,
        meter="gpu.ms",
        node="gpu01",
        origin=ORIGIN,
        price=price,
        begin_at_ms=USES[first].begin_ms,
        end_at_ms=USES[last].end_ms,
        cum_before=before,
        cum_after=after,
        unbilled_micros=0,
        charged_micros=charge(price, before=before, after=after),
        first=receipt(first),
        last=receipt(last),
    )


def receipt(index: int, *, by: SigningKey = REGISTRY) -> str:
    note = signed_checkpoint(CHECKPOINT, NODE)
    note += cosignature(CHECKPOINT, witness=WITNESS, key=by, at_s=1_800_000_000)
    proof = tuple(inclusion_proof(index, len(HASHES), subtrees_of(HASHES)))
    return receipt_text(Receipt(ENTRIES[index], index, proof, note))

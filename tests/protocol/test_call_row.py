"""A tenant is shown one call of a record, and can check it against the record alone."""

import json
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.call_row import CallRow, call_proof, rows_root, verify_call_proof
from protocol.refusal import LogRefused
from protocol.usage import Use, entry_bytes

USE = Use("k_1", "t_1", "p_1", "m", "req", 3, 60_000, 120_000, 5, 5)


def rows(count: int) -> list[CallRow]:
    return [CallRow(f"r_{at}", "k_1", "m", 3, 60_000 + at, at, 2 * at, 1) for at in range(count)]


def proof_text(count: int, at: int, *, use: Use = USE) -> str:
    counted = rows(count)
    entry = entry_bytes(replace(use, rows_root=rows_root(counted)))
    return msgspec.json.encode(call_proof(counted, f"r_{at}", entry=entry, entry_index=7)).decode()


@given(st.integers(1, 70), st.data())
def test_each_row_of_a_record_is_proved(count: int, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, count - 1))

    row, record = verify_call_proof(proof_text(count, at))

    assert (row["id"], row["in"], row["out"], row["req"]) == (f"r_{at}", at, 2 * at, 1)
    assert record.allocation_id == "k_1"


def test_a_proof_says_nothing_of_other_calls() -> None:
    text = proof_text(9, 4)

    assert [f"r_{at}" in text for at in range(9)] == [at == 4 for at in range(9)]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("call_unproven", {"row": "{CHANGED}"}),
        ("call_unproven", {"index": 3}),
        ("call_unproven", {"count": 5}),
        ("call_unproven", {"path": []}),
        ("call_proof_malformed", {"path": ["AAAA"]}),
        ("call_proof_malformed", {"kind": "else"}),
        ("call_proof_malformed", {"row": 5}),
        ("entry_not_canonical", {"row": "{}"}),
        ("entry_not_canonical", {"entry": "{}"}),
        ("rows_unbound", {"entry": entry_bytes(USE).decode()}),
    ],
)
def test_a_changed_proof_proves_nothing(code: str, change: dict[str, object]) -> None:
    proof = json.loads(proof_text(9, 4))
    if change.get("row") == "{CHANGED}":
        change = {"row": proof["row"].replace('"in":4', '"in":5')}

    with pytest.raises(LogRefused) as refused:
        verify_call_proof(json.dumps(proof | change))

    assert refused.value.code == code


@pytest.mark.parametrize("field", ["allocation_id", "sku", "lease_id"])
def test_a_row_of_another_stream_does_not_count_under_a_record(field: str) -> None:
    other = replace(USE, **{field: 9 if field == "lease_id" else "x"})

    with pytest.raises(LogRefused, match="call_elsewhere"):
        verify_call_proof(proof_text(9, 4, use=other))


def test_what_is_no_proof_is_refused_by_name() -> None:
    for text in ("", "[]", "\ud800", "x" * 40_000):
        with pytest.raises(LogRefused, match="call_proof_malformed"):
            verify_call_proof(text)

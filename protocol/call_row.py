"""One call as a row under a usage record: what it counted, and the proof that the record has it.

A record of inference counts many calls; the rows stay on the node.  The record carries the root
over them (`det`: the tree of RFC 6962 over canonical rows), so that a tenant who disputes a call is
shown that one row and its path, and learns nothing of the others.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from protocol.canonical import ENTRY_BYTES_MAX, canonical, read_canonical
from protocol.merkle import (
    HASH_BYTES,
    PROOF_HASHES_MAX,
    inclusion_proof,
    leaf_hash,
    root_from_inclusion,
    root_of,
    subtrees_of,
)
from protocol.note import strict_base64
from protocol.refusal import LogRefused, Refusal
from protocol.usage import Use, read_entry
from protocol.wire import decode

KIND = "outstation/call-row@v1"
PROOF_BYTES_MAX = 16_384


@dataclass(frozen=True, slots=True)
class CallRow:
    """What one call counted; never what was said in it."""

    call_id: str
    key_id: str
    model: str
    lease_id: int
    finished_at_ms: int
    tokens_in: int
    tokens_out: int
    requests: int


class CallProof(msgspec.Struct, frozen=True):
    """The proof as JSON: a row, its place among `count` rows, its path, and the record.

    entry, entry_index  the usage record and its place in the log, to be had as a receipt as well
    """

    kind: str
    row: str
    index: int
    count: int
    path: tuple[str, ...]
    entry: str
    entry_index: int


def row_bytes(row: CallRow) -> bytes:
    """Return the canonical bytes of a row."""
    return canonical(
        {
            "id": row.call_id, "in": row.tokens_in, "k": "row", "key": row.key_id,
            "lse": row.lease_id, "m": row.model, "out": row.tokens_out, "req": row.requests,
            "t": row.finished_at_ms, "v": 1,
        }
    )  # fmt: skip


def rows_root(rows: Sequence[CallRow]) -> str:
    """Return the root over rows in their order, as a record carries it."""
    root = root_of([leaf_hash(row_bytes(row)) for row in rows])
    return base64.b64encode(root).decode()


def call_proof(
    rows: Sequence[CallRow], call_id: str, *, entry: bytes, entry_index: int
) -> CallProof:
    """Return the proof of one of the rows that a record counts."""
    raw = [row_bytes(row) for row in rows]
    index = next(at for at, row in enumerate(rows) if row.call_id == call_id)
    path = inclusion_proof(index, len(raw), subtrees_of([leaf_hash(one) for one in raw]))
    return CallProof(
        kind=KIND,
        row=raw[index].decode("ascii"),
        index=index,
        count=len(raw),
        path=tuple(base64.b64encode(hash_).decode() for hash_ in path),
        entry=entry.decode("ascii"),
        entry_index=entry_index,
    )


def verify_call_proof(text: str) -> tuple[dict[str, int | str], Use]:
    """Return the row and the record that counts it; refuse by name what proves nothing.

    The record itself is believed with its receipt alone (`protocol/receipt.py`).
    """
    proof = _read(text)
    record = read_entry(proof.entry.encode("utf-8", "surrogatepass"))
    root = strict_base64(record.rows_root) if isinstance(record, Use) else None
    if not isinstance(record, Use) or not root:
        raise LogRefused("rows_unbound", "The entry is no record that names its calls.")
    row = read_canonical(proof.row.encode("utf-8", "surrogatepass"))
    path = [strict_base64(hash_) for hash_ in proof.path]
    hashes = [hash_ for hash_ in path if hash_ is not None and len(hash_) == HASH_BYTES]
    if len(hashes) != len(path):
        raise LogRefused("call_proof_malformed", "A hash of the proof cannot be read.")
    leaf = leaf_hash(proof.row.encode("ascii"))
    if root_from_inclusion(proof.index, proof.count, leaf, hashes) != root:
        raise LogRefused("call_unproven", "The row does not lead to the root in the record.")
    if (row.get("key"), row.get("m"), row.get("lse")) != (
        record.allocation_id,
        record.sku,
        record.lease_id,
    ):
        raise LogRefused("call_elsewhere", "The row is of another key, model or lease.")
    return row, record


def _read(text: str) -> CallProof:
    limit = PROOF_BYTES_MAX + 2 * ENTRY_BYTES_MAX
    if len(text) > limit:
        raise LogRefused("call_proof_malformed", f"A proof has at most {limit} bytes.")
    try:
        proof = decode(text.encode("utf-8", "surrogatepass"), CallProof)
    except Refusal as refusal:
        raise LogRefused("call_proof_malformed", f"This is no proof: {refusal.message}") from None
    if proof.kind != KIND or len(proof.path) > PROOF_HASHES_MAX:
        raise LogRefused("call_proof_malformed", f"This is no proof of the kind {KIND}.")
    return proof

"""A receipt: proof that an entry stands in a usage log that node and registry both signed.

The form is C2SP tlog-proof: index, audit path and cosigned checkpoint as text.  The entry itself
rides in the `extra` line; nothing trusts it but the hash that the path then leads to the root.
"""

import base64
import re
from dataclasses import dataclass

from protocol.canonical import read_canonical
from protocol.checkpoint import Checkpoint, read_checkpoint
from protocol.merkle import HASH_BYTES, PROOF_HASHES_MAX, leaf_hash, root_from_inclusion
from protocol.note import cosigned_at_s, is_note_signed, strict_base64
from protocol.refusal import LogRefused

HEADER = "c2sp.org/tlog-proof@v1"
RECEIPT_BYTES_MAX = 16_384
INDEX_PATTERN = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry, its place, its path to the root, and the checkpoint note with its signatures."""

    entry: bytes
    index: int
    proof: tuple[bytes, ...]
    checkpoint_note: str


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """What a receipt proves: this record stands at `index` of `checkpoint`'s log.

    seen_at_s  POSIX seconds at which the registry cosigned the checkpoint
    """

    record: dict[str, int | str]
    index: int
    checkpoint: Checkpoint
    seen_at_s: int


def receipt_text(receipt: Receipt) -> str:
    """Return the receipt as C2SP tlog-proof text."""
    lines = [
        HEADER,
        f"extra {base64.b64encode(receipt.entry).decode()}",
        f"index {receipt.index}",
        *(base64.b64encode(hash_).decode() for hash_ in receipt.proof),
    ]
    return "\n".join(lines) + "\n\n" + receipt.checkpoint_note


def read_receipt(text: str) -> Receipt:
    """Return the parts of a receipt, unverified; refuse what is not one, by name."""
    head, gap, note = text.partition("\n\n")
    lines = head.split("\n")
    if len(text) > RECEIPT_BYTES_MAX or not gap or len(lines) < 3 or lines[0] != HEADER:
        raise LogRefused("receipt_malformed", f"A receipt begins with {HEADER}.")
    index = INDEX_PATTERN.fullmatch(lines[2])
    if not lines[1].startswith("extra ") or index is None or len(lines) - 3 > PROOF_HASHES_MAX:
        raise LogRefused("receipt_malformed", "A receipt has an extra line and an index line.")
    entry = strict_base64(lines[1].removeprefix("extra "))
    proof = [strict_base64(line) for line in lines[3:]]
    hashes = tuple(hash_ for hash_ in proof if hash_ is not None and len(hash_) == HASH_BYTES)
    if entry is None or len(hashes) != len(proof):
        raise LogRefused("receipt_malformed", "A line of the receipt is not base64 of its length.")
    return Receipt(entry=entry, index=int(index.group(1)), proof=hashes, checkpoint_note=note)


def verify_receipt(
    text: str, *, node_key: bytes, witness: str, witness_key: bytes
) -> VerifiedReceipt:
    """Return what the receipt proves, or refuse it by name.

    node_key     public key of the node whose log it is
    witness      name under which the registry cosigns
    witness_key  public key of the registry
    """
    receipt = read_receipt(text)
    checkpoint, note = read_checkpoint(receipt.checkpoint_note)
    if not is_note_signed(note, name=checkpoint.origin, public_key=node_key):
        raise LogRefused("checkpoint_signature", "The checkpoint is not signed by its node.")
    seen_at_s = cosigned_at_s(note, name=witness, public_key=witness_key)
    if seen_at_s is None:
        raise LogRefused("cosignature_missing", "The registry did not cosign this checkpoint.")
    leaf = leaf_hash(receipt.entry)
    if root_from_inclusion(receipt.index, checkpoint.size, leaf, receipt.proof) != checkpoint.root:
        raise LogRefused("inclusion_wrong", "The entry does not lead to the signed root.")
    return VerifiedReceipt(
        record=read_canonical(receipt.entry),
        index=receipt.index,
        checkpoint=checkpoint,
        seen_at_s=seen_at_s,
    )

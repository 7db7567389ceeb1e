"""A statement that proves itself: what was charged, with what anybody needs to check it offline.

A line is one stream under one price version.  The receipts of its first and last record prove what
the stream's cumulative count grew by in between, and a charge is a function of that growth alone
(`price.charge`), so two receipts prove a line however many records it sums.  Lines of one stream
follow each other without a hole, and the total is the sum of the lines.  The registry signs the
whole: what it is called, and that these lines and no others are in it, are its word.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import msgspec

from protocol.note import read_verifier_key, strict_base64
from protocol.observed import Moment
from protocol.price import Count, Price, charge
from protocol.receipt import RECEIPT_BYTES_MAX, VerifiedReceipt, verify_receipt
from protocol.refusal import LogRefused
from protocol.signing import SigningKey, is_signed

FORMAT = "outstation-statement/v1"
LINES_MAX = 20_000
LOGS_MAX = 4_096
KEYS_MAX = 64
STATEMENT_BYTES_MAX = 64 * 1024 * 1024
SKEW_MS_MAX = 300_000
"""How far a node's clock may be off where its records are taken all the same: such a record counts
to the hour, and by the price, of the registry's clock."""

Text = Annotated[str, msgspec.Meta(max_length=256)]
ReceiptText = Annotated[str, msgspec.Meta(max_length=RECEIPT_BYTES_MAX)]


class LogKeys(msgspec.Struct, frozen=True):
    """The verifier keys (C2SP vkey) by which a node signed its log, oldest first."""

    origin: Text
    vkeys: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=KEYS_MAX)]


class StatementLine(msgspec.Struct, frozen=True):
    """One stream under one price, from its first to its last record in the period.

    owner           an allocation or an API key; `name` is what its tenant calls it
    cum_before      the stream's cumulative count before the first record, cum_after after the last
    charged_micros  of what the growth comes to, `unbilled_micros` was not the tenant's to pay
    """

    owner: Text
    name: Text
    project: Text
    sku: Text
    simulated: bool
    meter: Text
    node: Text
    origin: Text
    price: Price
    begin_at_ms: Moment
    end_at_ms: Moment
    cum_before: Count
    cum_after: Count
    unbilled_micros: Count
    charged_micros: Count
    first: ReceiptText
    last: ReceiptText


class Statement(msgspec.Struct, frozen=True):
    """What a tenant was charged for usage in [begin_at_ms, end_at_ms).

    subject    `2026-11` for a month, or the id of the allocation or API key that it is about
    signature  of the registry over all the rest (`signed_bytes`), in base64
    """

    format: Text
    tenant_id: Text
    tenant_name: Text
    subject: Text
    currency: Text
    begin_at_ms: Moment
    end_at_ms: Moment
    made_at_ms: Moment
    witness_vkey: Text
    logs: Annotated[tuple[LogKeys, ...], msgspec.Meta(max_length=LOGS_MAX)]
    lines: Annotated[tuple[StatementLine, ...], msgspec.Meta(max_length=LINES_MAX)]
    total_micros: Count
    signature: Text = ""


@dataclass(frozen=True, slots=True)
class VerifiedStatement:
    """What a check of a statement found to hold.

    seen_at_s  when the registry signed the oldest of the checkpoints it rests on; None if no lines
    """

    lines: int
    receipts: int
    total_micros: int
    seen_at_s: int | None


def signed_bytes(statement: Statement) -> bytes:
    """Return what the registry signs: FORMAT, a newline, and the statement's JSON in the order of
    its fields, without spaces and with an empty signature."""
    unsigned = msgspec.structs.replace(statement, signature="")
    return f"{FORMAT}\n".encode() + msgspec.json.encode(unsigned)


def signed_statement(statement: Statement, key: SigningKey) -> Statement:
    """Return the statement with the registry's signature."""
    signature = base64.b64encode(key.sign(signed_bytes(statement))).decode()
    return msgspec.structs.replace(statement, signature=signature)


def verify_statement(statement: Statement, *, witness_vkey: str | None = None) -> VerifiedStatement:
    """Check every receipt, every sum and the total; refuse by name what does not hold.

    witness_vkey  the registry's key, where the reader knows it; else the one in the statement

    What it cannot show: that the registry itself left no line out.  The next statement's lines go
    on where these end, so it would be missed there.
    """
    if statement.format != FORMAT:
        raise LogRefused("statement_format", f"This is no {FORMAT}.")
    trusted = witness_vkey or statement.witness_vkey
    witness, _, witness_key = read_verifier_key(trusted)
    signature = strict_base64(statement.signature)
    if signature is None or not is_signed(witness_key, signature, signed_bytes(statement)):
        raise LogRefused("statement_signature", "The registry did not sign this very statement.")
    keys = {log.origin: log.vkeys for log in statement.logs}
    seen: list[int] = []
    for at, line in enumerate(statement.lines, start=1):
        try:
            proofs = [
                _proof(text, line.origin, keys, witness=witness, witness_key=witness_key)
                for text in (line.first, line.last)
            ]
            _check_line(statement, line, *proofs)
        except LogRefused as refused:
            raise LogRefused(refused.code, f"Line {at} ({line.name}): {refused.message}") from None
        seen += [proof.seen_at_s for proof in proofs]
    _check_streams(statement.lines)
    if sum(line.charged_micros for line in statement.lines) != statement.total_micros:
        raise LogRefused("statement_total", "The lines do not sum to the total.")
    return VerifiedStatement(
        lines=len(statement.lines),
        receipts=len(seen),
        total_micros=statement.total_micros,
        seen_at_s=min(seen, default=None),
    )


def _proof(
    text: str,
    origin: str,
    keys: dict[str, tuple[str, ...]],
    *,
    witness: str,
    witness_key: bytes,
) -> VerifiedReceipt:
    """Return what a receipt proves by any of the keys that signed its log."""
    failed = LogRefused("log_unknown", f"No key of the log {origin} is given.")
    for vkey in keys.get(origin, ()):
        _, _, node_key = read_verifier_key(vkey)
        try:
            proof = verify_receipt(
                text, node_key=node_key, witness=witness, witness_key=witness_key
            )
        except LogRefused as refused:
            failed = refused
            continue
        if proof.checkpoint.origin == origin:
            return proof
        failed = LogRefused("receipt_elsewhere", "A receipt is of another log.")
    raise failed


def _check_line(
    statement: Statement, line: StatementLine, first: VerifiedReceipt, last: VerifiedReceipt
) -> None:
    for proof in (first, last):
        record = proof.record
        wanted = {
            "k": "use", "alc": line.owner, "m": line.meter, "sku": line.sku,
            "ten": statement.tenant_id, "prj": line.project,
        }  # fmt: skip
        wrong = [name for name, value in wanted.items() if record.get(name) != value]
        if wrong:
            raise LogRefused("receipt_elsewhere", f"A receipt says another `{wrong[0]}`.")
    begins, ends = _count(first, "t0"), _count(last, "t1")
    if (begins, ends) != (line.begin_at_ms, line.end_at_ms) or first.index > last.index:
        raise LogRefused("line_interval", "Its receipts are of other records than it says.")
    earliest, latest = statement.begin_at_ms - SKEW_MS_MAX, statement.end_at_ms + SKEW_MS_MAX
    if not earliest <= begins < ends <= latest:
        raise LogRefused("line_outside", "It lies outside the period of the statement.")
    before = _count(first, "cum") - _count(first, "q")
    if (before, _count(last, "cum")) != (line.cum_before, line.cum_after):
        raise LogRefused("line_counts", "Its receipts prove other counts than it says.")
    price = line.price
    if (price.sku, price.meter) != (line.sku, line.meter) or (
        price.effective_at_ms > begins + SKEW_MS_MAX
    ):
        raise LogRefused("line_price", "Its price is of something else, or not yet in force.")
    if not 0 <= line.cum_before <= line.cum_after:
        raise LogRefused("line_counts", "Its counts go backwards.")
    rated = charge(price, before=line.cum_before, after=line.cum_after)
    if line.charged_micros + line.unbilled_micros != rated:
        raise LogRefused("line_amount", f"By its price it comes to {rated} micros.")


def _check_streams(lines: Iterable[StatementLine]) -> None:
    """Refuse lines of one stream that overlap or leave a hole between them."""
    ends: dict[tuple[str, ...], StatementLine] = {}
    for line in sorted(lines, key=lambda one: one.begin_at_ms):
        stream = (line.origin, line.owner, line.meter, line.sku)
        before = ends.get(stream)
        if before is not None and (
            line.cum_before != before.cum_after or line.begin_at_ms < before.end_at_ms
        ):
            raise LogRefused("lines_overlap", f"Two lines of {line.name} do not follow each other.")
        ends[stream] = line


def _count(proof: VerifiedReceipt, name: str) -> int:
    value = proof.record.get(name)
    if not isinstance(value, int):
        raise LogRefused("receipt_elsewhere", f"A receipt has no `{name}`.")
    return value

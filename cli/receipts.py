"""Statements and receipts: fetched with all it takes to check them, verified with nobody's help."""

from pathlib import Path

import click
import msgspec

from cli import show
from cli.client import Client
from cli.exits import stopped
from cli.session import read_session
from cli.show import json_option
from protocol.money import show_amount
from protocol.note import read_verifier_key
from protocol.receipt import HEADER, verify_receipt
from protocol.refusal import Refusal
from protocol.statement import STATEMENT_BYTES_MAX, Statement, StatementLine, verify_statement

ASK_AGAIN = "Do not pay by this file; ask for a new one."


@click.command()
@click.argument("subject")
@click.option("--out", type=click.Path(), help="File to write; else <subject>.statement.json.")
@json_option
def statement(subject: str, out: str | None, *, as_json: bool) -> None:
    """Save a statement, to be verified by anyone, offline.

    SUBJECT is a month, as 2026-11, or the id of a workload or API key.
    """
    answer = Client(read_session()).get(f"/api/v1/statements/{subject}", Statement)
    found = answer.data
    if found is None:
        raise stopped("no_statement", "There is no such statement.", "Type `outstation ls`.")
    path = Path(out or f"{subject}.statement.json")
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    if as_json:
        told = {"path": str(path), "lines": len(found.lines), "total_micros": found.total_micros}
        show.show_json(told, answer.request_id)
    else:
        click.echo(f"{len(found.lines)} lines, {show_amount(found.total_micros)}, in {path}")
        show.hint(f"Type `outstation verify {path}`.")


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False))
@click.option("--registry-key", help="Verifier key of the registry, if you know it already.")
@click.option("--log-key", help="Verifier key of the node's log, for a single receipt.")
@json_option
def verify(path: str, registry_key: str | None, log_key: str | None, *, as_json: bool) -> None:
    """Check a statement or a receipt without calling anyone; exit code 11 if it does not hold."""
    _check_key(registry_key, "--registry-key")
    _check_key(log_key, "--log-key")
    raw = _read(Path(path))
    if raw.startswith(HEADER.encode()):
        _verify_receipt(raw, registry_key, log_key, as_json=as_json)
    else:
        _verify_statement(raw, path, registry_key, as_json=as_json)


def _verify_statement(raw: bytes, path: str, registry_key: str | None, *, as_json: bool) -> None:
    try:
        found = msgspec.json.decode(raw, type=Statement)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise stopped(
            "verification_failed",
            f"{path} is neither a statement nor a receipt ({error}).",
            "Fetch it anew with `outstation statement`.",
        ) from None
    try:
        verified = verify_statement(found, witness_vkey=registry_key)
    except Refusal as refusal:
        raise stopped("verification_failed", refusal.message, ASK_AGAIN) from None
    if as_json:
        show.show_json(
            {
                "subject": found.subject,
                "tenant_id": found.tenant_id,
                "currency": found.currency,
                "begin_at_ms": found.begin_at_ms,
                "end_at_ms": found.end_at_ms,
                "lines": verified.lines,
                "receipts": verified.receipts,
                "total_micros": verified.total_micros,
                "seen_at_s": verified.seen_at_s,
                "registry_key": registry_key or found.witness_vkey,
            }
        )
        return
    columns = ("WHAT", "METER", "SHAPE", "FROM", "TO", "QUANTITY", "CHARGED")
    show.show_table(columns, [_row(line) for line in found.lines], right=2)
    click.echo(f"Holds: {found.tenant_name}, {found.subject}: {show_amount(found.total_micros)}")
    show.hint(f"{verified.receipts} receipts, each signed by its node and by the registry.")
    if registry_key is None:
        show.hint(f"The registry's key came with the file: {found.witness_vkey}")


def _verify_receipt(
    raw: bytes, registry_key: str | None, log_key: str | None, *, as_json: bool
) -> None:
    if registry_key is None or log_key is None:
        raise click.UsageError("A single receipt is checked with --log-key and --registry-key.")
    _, _, node_key = read_verifier_key(log_key)
    witness, _, witness_key = read_verifier_key(registry_key)
    try:
        text = raw.decode()
        proof = verify_receipt(text, node_key=node_key, witness=witness, witness_key=witness_key)
    except (Refusal, UnicodeDecodeError) as refusal:
        message = refusal.message if isinstance(refusal, Refusal) else "It is no text."
        raise stopped("verification_failed", message, ASK_AGAIN) from None
    told = {
        "log": proof.checkpoint.origin,
        "index": proof.index,
        "size": proof.checkpoint.size,
        "seen_at_s": proof.seen_at_s,
        "entry": proof.record,
    }
    if as_json:
        show.show_json(told)
        return
    click.echo(f"Holds: entry {proof.index} of {proof.checkpoint.size} in {told['log']}")
    for name, value in proof.record.items():
        click.echo(f"  {name:<5}{value}")


def _row(line: StatementLine) -> tuple[str, ...]:
    return (
        line.name,
        line.meter,
        line.sku + (" (simulated)" if line.simulated else ""),
        show.show_time(line.begin_at_ms),
        show.show_time(line.end_at_ms),
        f"{line.cum_after - line.cum_before:,}",
        show_amount(line.charged_micros),
    )


def _check_key(vkey: str | None, option: str) -> None:
    try:
        if vkey is not None:
            read_verifier_key(vkey)
    except Refusal as refusal:
        raise click.UsageError(f"{option}: {refusal.message}") from None


def _read(path: Path) -> bytes:
    if path.stat().st_size > STATEMENT_BYTES_MAX:
        raise stopped(
            "verification_failed",
            f"{path} is larger than any statement ({STATEMENT_BYTES_MAX} bytes).",
            "Fetch it anew with `outstation statement`.",
        )
    return path.read_bytes()

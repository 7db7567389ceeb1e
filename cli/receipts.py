"""Receipts: fetched with the keys to check them by, and verified with nobody's help."""

from pathlib import Path

import click
import msgspec

from cli import show
from cli.answers import ReceiptBundle
from cli.client import Client
from cli.exits import stopped
from cli.session import read_session
from cli.show import json_option
from protocol.note import read_verifier_key
from protocol.receipt import VerifiedReceipt, verify_receipt
from protocol.refusal import Refusal

BUNDLE_BYTES_MAX = 4 * 1024 * 1024


@click.command()
@click.argument("allocation_id")
@click.option("--out", type=click.Path(), help="File to write; else <id>.receipts.json.")
@json_option
def receipts(allocation_id: str, out: str | None, *, as_json: bool) -> None:
    """Save the receipts of a workload, to be verified by anyone, offline."""
    answer = Client(read_session()).get(
        f"/api/v1/allocations/{allocation_id}/receipts", ReceiptBundle
    )
    bundle = answer.data
    if bundle is None:
        raise stopped("no_receipts", "There are no receipts yet.", "Try again in a minute.")
    path = Path(out or f"{allocation_id}.receipts.json")
    path.write_bytes(msgspec.json.format(msgspec.json.encode(bundle), indent=2) + b"\n")
    if as_json:
        show.show_json({"path": str(path), "count": len(bundle.receipts)}, answer.request_id)
    else:
        click.echo(f"{len(bundle.receipts)} receipts in {path}")
        show.hint(f"Type `outstation verify {path}`.")


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False))
@click.option("--registry-key", help="Verifier key of the registry, if you know it already.")
@json_option
def verify(path: str, registry_key: str | None, *, as_json: bool) -> None:
    """Check a file of receipts without calling anyone; exit code 11 if one does not hold."""
    bundle = _read_bundle(Path(path))
    witness_vkey = registry_key or bundle.witness_vkey
    try:
        _, _, node_key = read_verifier_key(bundle.log_vkey)
        witness, _, witness_key = read_verifier_key(witness_vkey)
        verified = [
            verify_receipt(text, node_key=node_key, witness=witness, witness_key=witness_key)
            for text in bundle.receipts
        ]
    except Refusal as refusal:
        raise stopped(
            "verification_failed", refusal.message, "Do not pay by this file; ask for a new one."
        ) from None
    told = [_told(one) for one in verified]
    if as_json:
        show.show_json({"receipts": told, "registry_key": witness_vkey})
        return
    for one in told:
        click.echo(f"holds: entry {one['index']} of {one['log']}: {one['entry']}")
    if registry_key is None:
        show.hint(f"The registry's key came with the file: {witness_vkey}")


def _told(receipt: VerifiedReceipt) -> dict[str, object]:
    return {
        "log": receipt.checkpoint.origin,
        "index": receipt.index,
        "size": receipt.checkpoint.size,
        "seen_at_s": receipt.seen_at_s,
        "entry": receipt.record,
    }


def _read_bundle(path: Path) -> ReceiptBundle:
    raw = path.read_bytes()
    try:
        if len(raw) > BUNDLE_BYTES_MAX:
            raise msgspec.DecodeError("over 4 MiB")
        return msgspec.json.decode(raw, type=ReceiptBundle)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise stopped(
            "verification_failed",
            f"{path} is not a file of receipts ({error}).",
            "Fetch it anew with `outstation receipts ID`.",
        ) from None

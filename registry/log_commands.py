"""Commands about nodes' usage logs: what a node may correct, and what it has forked."""

from typing import Any

import click
from msgspec.structs import asdict

from protocol.fork_evidence import EVIDENCE_BYTES_MAX, verify_evidence
from protocol.refusal import LogRefused, Refusal
from registry.commands import Console, json_option, now_ms, told
from registry.log_events.operations import approve_adjustment
from registry.log_events.queries import find_evidence

OPERATOR = "registry"


@click.command(name="evidence")
@click.argument("node_id")
@click.pass_obj
def evidence(console_: Console, node_id: str) -> None:
    """Write the proof that a node signed two logs: a file that verifies alone."""
    found = console_.run(find_evidence, node_id)
    if not found:
        raise Refusal(
            code="evidence_none",
            status=404,
            message=f"Node {node_id} was never seen to sign two logs.",
            hint="Look at the findings on the node's page for what is wrong with it.",
        )
    click.echo(found, nl=False)


@click.command(name="check-evidence")
@click.argument("file", type=click.File(encoding="utf-8"))
@json_option
def check_evidence(file: Any, *, as_json: bool) -> None:
    """Check such a proof without a registry; exit code 11 if it proves nothing."""
    try:
        fork = verify_evidence(file.read(EVIDENCE_BYTES_MAX + 1))
    except LogRefused as refused:
        raise Refusal(
            code="verification_failed",
            status=409,
            message=f"{refused.code}: {refused.message}",
            hint="The file proves nothing; ask for it again.",
        ) from None
    words = (
        f"{fork.origin} signed two logs: of {fork.shorter_size} and of {fork.longer_size} entries, "
        "of which neither is the beginning of the other."
    )
    told(asdict(fork), words, as_json=as_json)


@click.command(name="approve-adjustment")
@click.argument("node_id")
@click.option("--epoch", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--entry", type=click.IntRange(min=0), required=True, help="Index of the record.")
@click.option("--quantity", type=click.IntRange(min=1), required=True, help="How much more.")
@json_option
@click.pass_obj
def approve(
    console_: Console, node_id: str, epoch: int, entry: int, quantity: int, *, as_json: bool
) -> None:
    """Allow a node to count more for one record, which it does by an entry of its log."""
    console_.run(
        approve_adjustment,
        node_id,
        epoch,
        reference=entry,
        quantity=quantity,
        by=OPERATOR,
        now_ms=now_ms(),
    )
    data = {"node_id": node_id, "epoch": epoch, "entry": entry, "quantity": quantity}
    told(data, f"{node_id} may count {quantity} more for entry {entry}.", as_json=as_json)


COMMANDS = (evidence, check_evidence, approve)

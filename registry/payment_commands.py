"""Commands about payments by card: what was paid, what goes back, and what needs a person."""

import sys
from dataclasses import asdict
from typing import Any

import click

from protocol.exits import VERIFICATION
from protocol.money import read_amount, show_amount
from protocol.refusal import Refusal
from registry.app import payments_of, transfers_of
from registry.commands import Console, json_option, new_id, now_ms, told
from registry.config import database_url
from registry.payments.checkout import TopUp
from registry.payments.provider import Payments
from registry.payments.queries import find_top_up, list_top_ups
from registry.payouts.operations import note_returned
from registry.payouts.queries import find_payout
from registry.payouts.states import State
from registry.reconciliation.queries import get_comparison, list_findings
from registry.refunds.operations import REASONS, begin_refund, send
from registry.store.database import Database, Db
from registry.tenants.roles import console, not_found

LISTED_MAX = 200


@click.group()
def payment() -> None:
    """Payments by card."""


@payment.command(name="ls")
@click.option("--organization", "tenant_id", help="Id of one organization.")
@json_option
@click.pass_obj
def list_(console_: Console, tenant_id: str | None, *, as_json: bool) -> None:
    """List payments by card, newest first."""

    def work(db: Db) -> list[TopUp]:
        return list_top_ups(db, tenant_id=tenant_id, limit=LISTED_MAX)

    rows = console_.run(work)
    lines = [
        f"{one.top_up_id}  {show_amount(one.micros):>12}  {one.state.value:<12}{one.tenant_id}"
        for one in rows
    ]
    told([_shown(one) for one in rows], "\n".join(lines) or "No payments yet.", as_json=as_json)


@payment.command(name="refund")
@click.argument("top_up_id")
@click.argument("amount")
@click.option("--reason", type=click.Choice(REASONS), default=REASONS[0])
@json_option
@click.pass_obj
def refund(console_: Console, top_up_id: str, amount: str, reason: str, *, as_json: bool) -> None:
    """Send money of a payment back to its card."""
    micros, payments = read_amount(amount), _payments(console_)

    def work(db: Db) -> str:
        if find_top_up(db, top_up_id) is None:
            raise not_found("This payment")
        made = begin_refund(
            db,
            top_up_id,
            micros=micros,
            reason=reason,
            actor=console(),
            now_ms=now_ms(),
            new_id=new_id,
        )
        return made.refund_key

    key = console_.run(work)
    database = Database(database_url(console_.config()))
    try:
        row = send(database, payments, key, now_ms=now_ms())
    finally:
        database.close()
    words = {"sent": "is on its way to the card", "asked": "waits for the card processor"}
    said = words.get(row.state, f"was refused: {row.why}")
    told({**asdict(row)}, f"{show_amount(micros)} {said}.", as_json=as_json)


@payment.command(name="status")
@json_option
@click.pass_obj
def status(console_: Console, *, as_json: bool) -> None:
    """Say how the processor's balance and the books compare; exit code 11 on a finding."""

    def work(db: Db) -> dict[str, Any]:
        made = get_comparison(db)
        return {
            **asdict(made),
            "difference": made.difference,
            "findings": [asdict(one) for one in list_findings(db)],
        }

    found = console_.run(work)
    lines = [
        f"At the processor {show_amount(found['provider_micros'])}, in the books "
        f"{show_amount(found['book_micros'])}; {len(found['findings'])} findings.",
        *(f"{one['code']}: {one['detail']} {one['remedy']}" for one in found["findings"]),
    ]
    told(found, "\n".join(lines), as_json=as_json)
    if found["findings"]:
        sys.exit(VERIFICATION)


@payment.command(name="call-back")
@click.argument("payout_id")
@click.option("--why", required=True, help="Shown to the site's owner.")
@json_option
@click.pass_obj
def call_back(console_: Console, payout_id: str, why: str, *, as_json: bool) -> None:
    """Call a site's payout back from its account at the card processor."""
    transfers = transfers_of(console_.config())
    if transfers is None:
        raise _not_set_up()
    found = console_.run(find_payout, payout_id)
    if found is None or found.sender != transfers.name or found.state is not State.SENT:
        raise not_found("A payout that was sent by the card processor")
    transfers.call_back(
        payout_id, found.reference, destination=found.destination, micros=found.micros
    )
    console_.run(note_returned, payout_id, why=why, now_ms=now_ms())
    words = f"{show_amount(found.micros)} was called back; it is the site's again in the books."
    told({"payout_id": payout_id}, words, as_json=as_json)


def _payments(console_: Console) -> Payments:
    found = payments_of(console_.config())
    if found is None:
        raise _not_set_up()
    return found


def _not_set_up() -> Refusal:
    return Refusal(
        code="payments_not_set_up",
        status=409,
        message="No card processor is set up here.",
        hint="Set [stripe] in the registry's configuration.",
    )


def _shown(row: TopUp) -> dict[str, Any]:
    return {
        "top_up_id": row.top_up_id,
        "tenant_id": row.tenant_id,
        "kind": row.kind,
        "micros": row.micros,
        "refunded_micros": row.refunded_micros,
        "state": row.state.value,
        "payment_id": row.payment_id,
        "created_at_ms": row.created_at_ms,
        "why": row.decline or row.why,
    }

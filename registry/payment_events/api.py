"""The webhook: checked over its raw bytes, noted once, answered at once, worked on afterwards."""

import logging
from dataclasses import dataclass

from flask import Blueprint, Response, current_app, request
from flask.typing import ResponseReturnValue

from protocol.refusal import Refusal
from registry.payment_events.operations import work_on
from registry.payment_events.queries import insert_event
from registry.payment_events.webhook import (
    BODY_BYTES_MAX,
    KINDS,
    SIGNATURE_CHARACTERS_MAX,
    Event,
    check_moment,
    read_event,
    signature_refused,
)
from registry.payments.provider import Payments
from registry.server.session import db, frame, now_ms
from registry.store.database import Database

log = logging.getLogger(__name__)

EXTENSION = "outstation-payment-events"
PATH = "/api/stripe/webhook"

api = Blueprint("payment_events", __name__)


@dataclass(frozen=True, slots=True)
class Webhooks:
    """What the webhook needs.

    payments  None where no card processor is set up
    livemode  whether real money moves: events of the other mode are refused
    account   our own id at the processor; events of other accounts are refused
    inline    work on an event right after it was answered, instead of leaving it to the jobs
    """

    payments: Payments | None
    livemode: bool
    account: str = ""
    inline: bool = True


@api.post(PATH)
def receive_webhook() -> ResponseReturnValue:
    """Note a signed event and answer 200; the same event again changes nothing."""
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, Webhooks)
    if found.payments is None:
        raise _not_set_up()
    body, signature = request.get_data(), request.headers.get("Stripe-Signature", "")
    if len(body) > BODY_BYTES_MAX:
        raise _too_large()
    if len(signature) > SIGNATURE_CHARACTERS_MAX or not found.payments.is_signed(body, signature):
        raise signature_refused()
    check_moment(signature, now_ms=now_ms())
    event = read_event(body, livemode=found.livemode, account=found.account)
    is_wanted = event.kind in KINDS and bool(event.object_id)
    with db().unit():
        is_new = insert_event(db(), event, now_ms=now_ms(), done=not is_wanted)
    answer = Response('{"received":true}\n', content_type="application/json")
    if is_new and is_wanted and found.inline:
        database, payments, at_ms = frame().database, found.payments, now_ms()
        answer.call_on_close(lambda: _worked_on(database, payments, event, at_ms))
    return answer


def _worked_on(database: Database, payments: Payments, event: Event, at_ms: int) -> None:
    """Work on an event whose sender has its answer; what fails waits for the jobs."""
    try:
        work_on(database, payments, event, tries=0, now_ms=at_ms)
    except Refusal as refusal:
        log.warning("webhook waits", extra={"event": event.event_id, "why": str(refusal)})


def _not_set_up() -> Refusal:
    return Refusal(
        code="payments_not_set_up",
        status=404,
        message="No card processor is set up here.",
        hint="Set [stripe] in the registry's configuration.",
    )


def _too_large() -> Refusal:
    return Refusal(
        code="body_too_large",
        status=413,
        message=f"A webhook is at most {BODY_BYTES_MAX} bytes.",
        hint="Nothing was done.",
    )

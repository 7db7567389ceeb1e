"""A webhook: what of it is read, and when it is refused.

Of its body only ids are used.  What they stand for is fetched with our own key, so that a forged
or stale body could at most make us look.
"""

import re
from typing import Annotated, Any

import msgspec

from protocol.clock import MINUTE_MS
from protocol.refusal import Refusal
from protocol.wire import decode

BODY_BYTES_MAX = 256 * 1024
SIGNATURE_CHARACTERS_MAX = 2048
SKEW_MS_MAX = 5 * MINUTE_MS
SIGNED_AT = re.compile(r"(?:^|,)t=([0-9]{1,12})(?:,|$)", re.ASCII)

KINDS = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.expired",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)
"""Events that are worked on; others are noted and need nothing."""

_Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_]+\Z", max_length=255)]


class _Data(msgspec.Struct, frozen=True):
    object: dict[str, Any]


class _Body(msgspec.Struct, frozen=True):
    id: _Id
    type: Annotated[str, msgspec.Meta(max_length=100)]
    created: Annotated[int, msgspec.Meta(ge=0, lt=1 << 40)]
    livemode: bool
    data: _Data
    account: str = ""


class Event(msgspec.Struct, frozen=True):
    """What is kept of a webhook."""

    event_id: str
    kind: str
    object_id: str
    created_at_ms: int


def read_event(body: bytes, *, livemode: bool, account: str) -> Event:
    """Return the event in a signed body.

    Refuses what is no event, a test event where real money moves and the other way round, and an
    event of another account.
    """
    read = decode(body, _Body)
    if read.livemode != livemode:
        raise _refused("webhook_mode", "The event is of the other mode (test or live).")
    if read.account and read.account != account:
        raise _refused("webhook_account", "The event is of another account.")
    object_id = read.data.object.get("id", "")
    if not isinstance(object_id, str) or not re.fullmatch(r"[A-Za-z0-9_]{1,255}", object_id):
        object_id = ""
    return Event(read.id, read.type, object_id, read.created * 1000)


def check_moment(signature: str, *, now_ms: int) -> None:
    """Refuse a signature that was made too long ago, or in the future."""
    found = SIGNED_AT.search(signature[:SIGNATURE_CHARACTERS_MAX])
    if found is None:
        raise signature_refused()
    if abs(now_ms - int(found.group(1)) * 1000) > SKEW_MS_MAX:
        raise _refused("webhook_stale", "The signature was made too long ago, or in the future.")


def signature_refused() -> Refusal:
    """Return the refusal of a webhook that was not signed with our secret."""
    return _refused("webhook_signature", "The webhook is not signed with a secret known here.")


def _refused(code: str, message: str) -> Refusal:
    return Refusal(code=code, status=400, message=message, hint="Nothing was done.")

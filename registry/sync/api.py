"""`POST /node/v1/sync` and `/node/v1/log`: signed, compressed, answered at once and signed."""

from flask import Blueprint, Response, current_app, request
from msgspec.structs import replace

from protocol.http_signature import signed_answer_headers
from protocol.refusal import Refusal
from protocol.sync import LogPull, SyncRequest
from protocol.wire import pack, unpack
from registry.nodes.operations import CALL_STEP_MS, PULL_STEP_MS
from registry.server.session import asked_url, db, now_ms
from registry.sync import operations
from registry.sync.operations import Caller, SignedCall, SyncPolicy

api = Blueprint("sync_api", __name__)
EXTENSION = "outstation-sync"


@api.post("/node/v1/sync")
def sync() -> Response:
    """Answer one call of a node: who signed it, one unit of work, a signed answer.

    A refused signature is noted in a unit of its own, so that the note outlives the refusal.
    """
    policy: SyncPolicy = current_app.extensions[EXTENSION]
    received_at_ms = now_ms()
    body = request.get_data()
    caller = _caller(body)
    asked = unpack(body, SyncRequest)
    with db().unit():
        answer = operations.sync(
            db(),
            caller.node_id,
            asked,
            policy=policy,
            received_at_ms=received_at_ms,
            now_ms=now_ms(),
        )
    return _signed(
        replace(answer, received_at_ms=received_at_ms, now_ms=now_ms()), caller, policy=policy
    )


@api.post("/node/v1/log")
def give_back_log() -> Response:
    """Give a node entries of its own log back."""
    body = request.get_data()
    caller = _caller(body, step_ms=PULL_STEP_MS)
    asked = unpack(body, LogPull)
    with db().reading():
        answer = operations.pulled(db(), caller.node_id, asked)
    return _signed(answer, caller, policy=current_app.extensions[EXTENSION])


def _caller(body: bytes, *, step_ms: int = CALL_STEP_MS) -> Caller:
    call = SignedCall(request.method, asked_url(), dict(request.headers), body)
    with db().unit():
        caller = operations.caller_of(db(), call, step_ms=step_ms, now_ms=now_ms())
    if isinstance(caller, Refusal):
        raise caller
    return caller


def _signed(answer: object, caller: Caller, *, policy: SyncPolicy) -> Response:
    packed = pack(answer)
    headers = signed_answer_headers(
        status=200, body=packed, key=policy.key, now_ms=now_ms(), nonce=caller.nonce
    )
    return Response(packed, status=200, headers=headers, content_type="application/zlib")

"""`POST /node/v1/sync`: signed, compressed, answered at once and signed."""

from flask import Blueprint, Response, current_app, request
from msgspec.structs import replace

from protocol.http_signature import signed_answer_headers
from protocol.refusal import SignatureRefused
from protocol.sync import SyncRequest
from protocol.wire import pack, unpack
from registry.server.session import asked_url, db, now_ms
from registry.sync import operations
from registry.sync.operations import SignedCall, SyncPolicy

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
    call = SignedCall(request.method, asked_url(), dict(request.headers), body)
    with db().unit():
        caller = operations.caller_of(db(), call, now_ms=now_ms())
    if isinstance(caller, SignatureRefused):
        raise caller
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
    packed = pack(replace(answer, received_at_ms=received_at_ms, now_ms=now_ms()))
    headers = signed_answer_headers(
        status=200, body=packed, key=policy.key, now_ms=now_ms(), nonce=caller.nonce
    )
    return Response(packed, status=200, headers=headers, content_type="application/zlib")

"""The call by which a machine becomes a node."""

from flask import Blueprint, Response, current_app, request
from flask.typing import ResponseReturnValue

from protocol.enrolment import EnrolRequest
from protocol.http_signature import AGE_MS_MAX
from protocol.refusal import Refusal, SignatureRefused
from protocol.signing import key_id, public_bytes
from protocol.wire import encode, unpack
from registry.nodes import operations
from registry.nodes.operations import Registry
from registry.nodes.queries import list_accelerators, list_nodes
from registry.nodes.standing import SEVERITIES, standing
from registry.server.envelope import answered
from registry.server.node_calls import read_node_call
from registry.server.session import actor, db, now_ms, request_id, source_address, with_api_key
from registry.server.settings import settings
from registry.tenants.roles import require

api = Blueprint("nodes_api", __name__)


@api.post("/node/v1/enrol")
def enrol() -> ResponseReturnValue:
    """Give the node that signs with the key it sends what it keeps for good."""
    asked = unpack(request.get_data(), EnrolRequest)
    public_key = bytes.fromhex(asked.public_key)
    signed_by = read_node_call({key_id(public_key): public_key}.get)
    with db().unit():
        expires_at_ms = signed_by.created_at_ms + 2 * AGE_MS_MAX
        signer, nonce = signed_by.key_id, signed_by.nonce
        if not operations.spend_nonce(db(), signer, nonce, expires_at_ms=expires_at_ms):
            raise SignatureRefused("signature_replayed", "This very call was made before.")
        outcome = operations.enrol(
            db(),
            asked,
            registry=this_registry(),
            source=source_address(),
            request_id=request_id(),
            now_ms=now_ms(),
        )
    if isinstance(outcome, Refusal):
        raise outcome
    return Response(encode(outcome), content_type="application/json")


@api.get("/api/v1/nodes")
@with_api_key
def list_own_nodes() -> ResponseReturnValue:
    """Return the nodes at the sites of the key's organization."""
    require(actor(), "node.view")
    with db().reading():
        nodes = list_nodes(db(), tenant_id=actor().tenant_id)
        severities = current_app.extensions[SEVERITIES](db())
        cards = {node.node_id: list_accelerators(db(), node.node_id) for node in nodes}
    return answered(
        [
            {
                "id": node.node_id,
                "name": node.name,
                "site": node.site_name,
                "state": standing(
                    node.last_contact_at_ms, severities.get(node.node_id, ()), now_ms=now_ms()
                ),
                "accelerators": len(cards[node.node_id]),
                "accelerators_held": sum(card.held_by is not None for card in cards[node.node_id]),
                "simulated": node.simulated,
                "agent_version": node.agent_version,
                "last_contact_at_ms": node.last_contact_at_ms,
            }
            for node in nodes
        ]
    )


def this_registry() -> Registry:
    """Return what this registry tells a node of itself."""
    return Registry(
        domain=settings().domain,
        key_id=key_id(public_bytes(settings().key)),
        trust_keys=settings().trust_keys,
        demo=settings().demo,
    )

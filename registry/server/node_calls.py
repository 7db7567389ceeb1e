"""Calls of nodes: read only when signed, and every answer signed, a refusal too.

A node whose clock is wrong is refused, and sets its clock by the signed refusal.
"""

import re
from collections.abc import Callable

from flask import Response, request

from protocol.http_signature import SignedBy, read_signed_request, signed_answer_headers
from registry.server.session import asked_url, now_ms
from registry.server.settings import settings

NODE_PATHS = "/node/"
NONCE_PATTERN = re.compile(r';nonce="([!#-\[\]-~]{16,64})"(?:;|\Z)', re.ASCII)


def read_node_call(public_key_of: Callable[[str], bytes | None]) -> SignedBy:
    """Return who signed this request; refuse any other.

    public_key_of  the trusted public key of a key id, or None
    """
    return read_signed_request(
        method=request.method,
        url=asked_url(),
        headers=dict(request.headers),
        body=request.get_data(),
        public_key_of=public_key_of,
        now_ms=now_ms(),
    )


def sign_node_answer(answer: Response) -> Response:
    """Sign the answer to a node's call, bound to the nonce of the call; runs after every view."""
    if not request.path.startswith(NODE_PATHS):
        return answer
    nonce = NONCE_PATTERN.search(request.headers.get("Signature-Input", ""))
    if nonce is not None:
        answer.headers.update(
            signed_answer_headers(
                status=answer.status_code,
                body=answer.get_data(),
                key=settings().key,
                now_ms=now_ms(),
                nonce=nonce.group(1),
            )
        )
    return answer

"""JSON in and out of `/api/v1`: bodies read by type, answers in one envelope."""

from typing import Any, TypeVar

from flask import Response, request

from protocol.wire import decode_once, encode
from registry.server.session import request_id

T = TypeVar("T")


def read_body(kind: type[T]) -> T:
    """Return the JSON body as a value of `kind`, or refuse with the path of what is wrong."""
    return decode_once(request.get_data(), kind)


def answered(content: Any, status: int = 200) -> Response:
    """Return `{"ok": true, "data": …, "request_id": …}`."""
    body = {"ok": True, "data": content, "request_id": request_id()}
    return Response(encode(body), status=status, content_type="application/json")

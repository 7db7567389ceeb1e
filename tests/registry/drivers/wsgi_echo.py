"""An application for a WSGI server: it tells what it got, and can take its time."""

import time
from collections.abc import Callable, Iterable
from typing import Any

SLOW_S = 0.5


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer method, path and body; `/slow` after a while."""
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/slow":
        time.sleep(SLOW_S)
    said = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {body.decode('latin-1')}".encode()
    start_response("200 OK", [("Content-Length", str(len(said)))])
    return [said]

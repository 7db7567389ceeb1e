"""Why the container engine does not answer, in words: what the SDK raises is a chain of causes."""

import os
import socket
import ssl
from collections.abc import Iterator

USUAL_SOCKET = "/var/run/docker.sock"
CAUSES_MAX = 32
SENTENCE_CHARACTERS_MAX = 200


def why_silent(error: BaseException, url: str | None) -> str:
    """Return the first cause that a person can act on, as a sentence without its full stop.

    url  of the engine; None takes DOCKER_HOST or the usual socket
    """
    where = (url or os.environ.get("DOCKER_HOST") or USUAL_SOCKET).removeprefix("unix://")
    for cause in _causes(error):
        match cause:
            case FileNotFoundError():
                return f"there is no socket at {where}"
            case PermissionError():
                return f"this user may not open {where}"
            case ConnectionRefusedError():
                return f"nothing listens at {where}"
            case socket.gaierror():
                return f"no machine is known by the name in {where}"
            case ssl.SSLError():
                return f"{where} offers no TLS connection that this machine accepts"
            case TimeoutError():
                return f"{where} gave no answer in time"
            case ConnectionError():
                return f"{where} broke the connection off"
    return " ".join(str(error).split())[:SENTENCE_CHARACTERS_MAX].rstrip(".")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what an error came of, each once: chained, handed on as an argument, or as a reason."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting and len(seen) < CAUSES_MAX:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]

"""A log line is one line of JSON, whatever a client sent."""

import io
import json
import logging

from registry.server.logs import JsonLines


def test_a_line_stays_one_line_and_holds_its_values() -> None:
    line = _logged("request refused", extra={"path": "/a\r\nFAKE line", "status": 404})

    written = json.loads(line)
    assert "\n" not in line
    assert written["message"] == "request refused"
    assert written["path"] == "/a\r\nFAKE line"
    assert written["status"] == 404
    assert written["level"] == "info"


def test_long_values_are_cut() -> None:
    written = json.loads(_logged("request refused", extra={"path": "x" * 5000}))

    assert len(written["path"]) == 512


def test_a_breakage_carries_its_traceback() -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        written = json.loads(_logged("request broke", exc_info=error))

    assert "ValueError: broken" in written["traceback"]


def _logged(message: str, **named: object) -> str:
    stream = io.StringIO()
    target = logging.StreamHandler(stream)
    target.setFormatter(JsonLines())
    log = logging.Logger("test")
    log.addHandler(target)
    log.info(message, **named)  # type: ignore[arg-type]
    return stream.getvalue().rstrip("\n")

"""Log lines as JSON, one per line, each with the id of the request it belongs to.

The message is a fixed phrase; values travel beside it.  JSON escapes line breaks, so nothing that
a client sent can forge a line.
"""

import logging
import traceback
from typing import Any, TextIO

from flask import g, has_request_context

from protocol.wire import encode

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
VALUE_CHARACTERS_MAX = 512


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "at_ms": int(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if has_request_context():
            line["request_id"] = g.get("request_id", "")
        for name, value in vars(record).items():
            if name not in STANDARD:
                is_figure = isinstance(value, int | float | bool) or value is None
                line[name] = value if is_figure else str(value)[:VALUE_CHARACTERS_MAX]
        if record.exc_info and record.exc_info[0] is not None:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return encode(line).decode()


def set_up_logs(stream: TextIO, level: str = "INFO") -> None:
    """Send every log line of this process to `stream` as JSON."""
    target = logging.StreamHandler(stream)
    target.setFormatter(JsonLines())
    logging.basicConfig(handlers=[target], level=level, force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)

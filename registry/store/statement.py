"""A statement that goes straight to the driver: one text for both engines.

SQLAlchemy takes ten times as long to hand a small statement on as SQLite takes to run it, which the
paths feel that run thirty of them for each batch of usage.  Parameters are written `:name`, and
`column IN EACH(:names)` takes a list.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

PARAMETER = re.compile(r"(?<![:\w]):([a-z]\w*)")
EACH = re.compile(r"IN EACH\(:(\w+)\)")


@dataclass(frozen=True, slots=True)
class Statement:
    """The same statement in the words of both drivers.

    lists  names of the parameters that are lists
    """

    sqlite: str
    postgres: str
    lists: tuple[str, ...]

    def sqlite_parameters(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters with lists as JSON, which is how SQLite takes them."""
        if not self.lists:
            return parameters
        return {**parameters, **{name: json.dumps(parameters[name]) for name in self.lists}}


@cache
def statement(words: str) -> Statement:
    """Return a statement from its text, which is constant: each is kept for good."""
    return Statement(
        sqlite=EACH.sub(r"IN (SELECT value FROM json_each(:\1))", words),
        postgres=PARAMETER.sub(r"%(\1)s", EACH.sub(r"= ANY(:\1)", words).replace("%", "%%")),
        lists=tuple(EACH.findall(words)),
    )

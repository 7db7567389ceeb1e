"""Pure files touch no world: no clock, chance, environment, file, socket, thread or log."""

import ast

from tests.house.rooms import (
    CATCH_ALL_HOMES,
    DATETIME_HOMES,
    WEB_ENGINES,
    WORLDLY,
    WORLDLY_CALLS,
    WORLDLY_METHODS,
    Kind,
)
from tests.house.source import Source, complaint

PASS_IN = "a door does that and passes the value in"


def worldly_imports(source: Source) -> list[str]:
    """Modules of the standard library that a pure file may not import."""
    if not _is_pure(source):
        return []
    found = []
    for imported in source.imports:
        whole = f"{imported.module}.{imported.name}" if imported.name else imported.module
        if any(f"{whole}.".startswith(f"{module}.") for module in WORLDLY):
            found.append(
                complaint(source, imported.line, f"a pure file imports {whole}: {PASS_IN}")
            )
    return found


def worldly_calls(source: Source) -> list[str]:
    """Calls in a pure file that read or change the world without an import that tells."""
    if not _is_pure(source):
        return []
    found = []
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        by_name = isinstance(called, ast.Name) and called.id in WORLDLY_CALLS
        by_method = isinstance(called, ast.Attribute) and called.attr in WORLDLY_METHODS
        if by_name or by_method:
            sentence = f"a pure file calls {ast.unparse(called)}: {PASS_IN}"
            found.append(complaint(source, node.lineno, sentence))
    return found


def stray_datetimes(source: Source) -> list[str]:
    """Time is an int of epoch milliseconds; only the pages turn it into a date."""
    if source.side is None or source.path in DATETIME_HOMES:
        return []
    return [
        complaint(source, imported.line, "imports datetime: time is an int of epoch milliseconds")
        for imported in source.imports
        if imported.module == "datetime"
    ]


def catch_alls(source: Source) -> list[str]:
    """`except Exception` anywhere but where a request or a background work ends.

    One that tidies up and raises again swallows nothing, and passes.
    """
    if source.side is None or source.path in CATCH_ALL_HOMES:
        return []
    return [
        complaint(
            source,
            node.lineno,
            "catches everything: name the error, or let the one handler of the side see it",
        )
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ExceptHandler) and _catches_everything(node)
    ]


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False
    if handler.type is None:
        return True
    named = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
    return bool(named & {"Exception", "BaseException"})


def _is_pure(source: Source) -> bool:
    in_a_pure_side = source.side in ("protocol", "web") and source.path not in WEB_ENGINES
    in_a_room = source.room is not None and source.kind is Kind.PURE
    return in_a_pure_side or in_a_room

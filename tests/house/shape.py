"""Sizes, docstrings and names."""

import ast
import re

from tests.house.source import Source, complaint

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
MEASURED_FILES = (".py", ".html", ".css", ".js", ".mjs", ".sql", ".sh")
VAGUE_NAMES = frozenset({"utils", "helpers", "common", "misc", "base", "core", "manager"})
VAGUE_PREFIXES = ("handle_", "process_", "do_")
VAGUE_ENDINGS = ("data", "info")
# Names a framework calls; we only answer to them.
GIVEN_NAMES = frozenset({"handle_error"})


def long_files(source: Source) -> list[str]:
    lines = source.text.count("\n") + (not source.text.endswith("\n"))
    if not source.path.endswith(MEASURED_FILES) or lines <= FILE_LINES_MAX:
        return []
    return [complaint(source, lines, f"{lines} lines, at most {FILE_LINES_MAX}: split the file")]


def long_functions(source: Source) -> list[str]:
    found = []
    for function in source.functions:
        assert function.end_lineno is not None
        lines = function.end_lineno - function.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            sentence = f"{function.name} has {lines} lines, at most {FUNCTION_LINES_MAX}: split it"
            found.append(complaint(source, function.lineno, sentence))
    return found


def missing_docstrings(source: Source) -> list[str]:
    if source.docstring:
        return []
    return [complaint(source, 1, "no module docstring: say what the file holds")]


def crowded_packages(source: Source) -> list[str]:
    """Code in the `__init__.py` of a room, which holds one docstring."""
    is_a_room = source.room is not None and len(source.parts) == 3 and source.stem == "__init__"
    if not is_a_room or len(source.tree.body) <= 1:
        return []
    second = source.tree.body[1]
    return [complaint(source, second.lineno, "code in a room's __init__.py: only a docstring")]


def vague_files(source: Source) -> list[str]:
    """A file or folder whose name says nothing."""
    if not source.path.endswith(MEASURED_FILES):
        return []
    words = set(re.split(r"[/_.-]", source.path))
    return [
        complaint(source, 1, f"'{word}' in the path says nothing: name it by what it is")
        for word in sorted(words & VAGUE_NAMES)
    ]


def vague_functions(source: Source) -> list[str]:
    """A function named by the fact that it does something."""
    if source.side is None:
        return []
    return [
        complaint(source, function.lineno, f"{function.name}: name what it returns or does")
        for function in source.functions
        if function.name not in GIVEN_NAMES
        and (
            function.name.lstrip("_").startswith(VAGUE_PREFIXES)
            or function.name.split("_")[-1] in VAGUE_ENDINGS
        )
    ]


def classes_of_tests(source: Source) -> list[str]:
    """Tests gathered in classes: they are plain functions."""
    if not source.path.startswith("tests/"):
        return []
    return [
        complaint(source, node.lineno, f"{node.name}: tests are plain functions")
        for node in source.tree.body
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
    ]

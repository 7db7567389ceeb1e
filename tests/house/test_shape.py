"""Files and functions fit a reader, and names say something."""

from collections.abc import Callable

import pytest

from tests.house.shape import (
    FILE_LINES_MAX,
    FUNCTION_LINES_MAX,
    classes_of_tests,
    crowded_packages,
    long_files,
    long_functions,
    missing_docstrings,
    vague_files,
    vague_functions,
)
from tests.house.source import Source, listing, python_sources, text_sources

Rule = Callable[[Source], list[str]]


@pytest.mark.parametrize("rule", [long_files, vague_files])
def test_every_file_keeps(rule: Rule) -> None:
    found = [line for source in text_sources() for line in rule(source)]

    assert not found, listing(found)


@pytest.mark.parametrize(
    "rule",
    [long_functions, missing_docstrings, crowded_packages, vague_functions, classes_of_tests],
)
def test_every_python_file_keeps(rule: Rule) -> None:
    found = [line for source in python_sources() for line in rule(source)]

    assert not found, listing(found)


@pytest.mark.parametrize("name", ["a.py", "web/static/css/a.css", "agent/store/schema/1.sql"])
def test_a_long_file_is_found(name: str) -> None:
    assert long_files(Source(name, "x\n" * FILE_LINES_MAX)) == []
    assert len(long_files(Source(name, "x\n" * (FILE_LINES_MAX + 1)))) == 1


def test_a_long_function_is_found_wherever_it_stands() -> None:
    body = "        x = 1\n" * (FUNCTION_LINES_MAX - 1)
    fits = f"class A:\n    async def f(self):\n{body}"

    assert long_functions(Source("a.py", fits)) == []
    assert len(long_functions(Source("a.py", f"{fits}        y = 1\n"))) == 1


def test_a_module_without_docstring_is_found() -> None:
    assert missing_docstrings(Source("a.py", '"""What it holds."""\n')) == []
    assert len(missing_docstrings(Source("a.py", "# What it holds.\nx = 1\n"))) == 1
    assert len(missing_docstrings(Source("a.py", ""))) == 1


def test_code_in_the_package_file_of_a_room_is_found() -> None:
    text = '"""The room."""\nfrom agent.leases.gate import may_start\n'

    assert len(crowded_packages(Source("agent/leases/__init__.py", text))) == 1
    assert crowded_packages(Source("protocol/__init__.py", text)) == []


@pytest.mark.parametrize(
    "path", ["agent/utils/a.py", "registry/usage/helpers.py", "web/base.html", "cli/http_utils.py"]
)
def test_a_vague_file_name_is_found(path: str) -> None:
    assert len(vague_files(Source(path, ""))) == 1


@pytest.mark.parametrize("name", ["handle_call", "_process_rows", "do_it", "node_info", "data"])
def test_a_vague_function_name_is_found(name: str) -> None:
    assert len(vague_functions(Source("agent/sync/loop.py", f"def {name}(): pass"))) == 1


def test_a_class_of_tests_is_found() -> None:
    assert len(classes_of_tests(Source("tests/a/test_b.py", "class TestB: pass"))) == 1

"""No text in the tree that must not be there."""

from collections.abc import Callable

import pytest

from tests.house.source import Source, listing, python_sources, text_sources
from tests.house.words import (
    index_addresses,
    inline_code,
    patched_parts,
    skipped_tests,
    unfinished_markers,
)

Rule = Callable[[Source], list[str]]


@pytest.mark.parametrize("rule", [index_addresses, unfinished_markers, inline_code])
def test_no_file_holds(rule: Rule) -> None:
    found = [line for source in text_sources() for line in rule(source)]

    assert not found, listing(found)


@pytest.mark.parametrize("rule", [skipped_tests, patched_parts])
def test_no_test_holds(rule: Rule) -> None:
    found = [line for source in python_sources() for line in rule(source)]

    assert not found, listing(found)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Makefile", "pip install --index-" + "url x"),
        ("docs/a.md", "https://registry.npmj" + "s.org/htmx.org"),
        ("constraints.txt", "--trusted-host x"),
        ("constraints.txt", "a @ https://example.org/a-1-py3-none-any.whl"),
        ("web/package-lock.json", '{"resolved": "x"}'),
        (".npmrc", "registry=https://example.org/"),
    ],
)
def test_an_index_address_is_found(path: str, text: str) -> None:
    assert len(index_addresses(Source(path, text))) == 1


def test_pins_by_version_and_hash_pass() -> None:
    text = "aiohttp==3.14.5 \\\n    --hash=sha256:00\n# via aiohttp\n"

    assert index_addresses(Source("constraints.txt", text)) == []


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME"])
def test_an_unfinished_marker_is_found(word: str) -> None:
    assert len(unfinished_markers(Source("a.py", f"# {word}: later"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '<script type="module">x</script>',
        "<style>a{}</style>",
        '<p style="color:red">',
        '<button onclick="x()">',
        '<a href="javascript:x()">',
    ],
)
def test_inline_code_is_found(text: str) -> None:
    assert len(inline_code(Source("web/templates/shared/page.html", text))) == 1
    assert len(inline_code(Source("registry/usage/views.py", f"x = {text!r}"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        '<script type="module" src="/static/js/house.js"></script>',
        '{# <p style="color:red"> #}<p class="note">',
        '<meter data-style="bar">',
        '<script type="application/json">{"unit": "W"}</script>',
    ],
)
def test_code_in_files_passes(text: str) -> None:
    assert inline_code(Source("web/templates/shared/page.html", text)) == []


@pytest.mark.parametrize("call", ["pytest.skip('x')", "pytest.mark.skipif(True)"])
def test_a_skipped_test_is_found(call: str) -> None:
    assert len(skipped_tests(Source("tests/a/test_b.py", call))) == 1


@pytest.mark.parametrize(
    "text", ["from unittest import mock", "import unittest.mock", "monkeypatch.setattr(a, 'b', 1)"]
)
def test_a_patched_part_is_found(text: str) -> None:
    assert len(patched_parts(Source("tests/a/test_b.py", text))) == 1

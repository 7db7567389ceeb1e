"""Texts that must not stand in the tree: addresses of package indexes, markers, inline code."""

import ast
import re

from tests.house.source import Source, complaint

# Written in pieces, so that the rules do not find themselves.
INDEX_ADDRESS = re.compile(
    r"(--(extra-)?index-u" + r"rl|--find-li" + r"nks|files\.pythonho" + r"sted\.org|"
    r"pypi\.o" + r"rg/simple|registry\.npmj" + r"s\.org|registry\.yarnp" + r"kg\.com|"
    r"artifact" + r"ory)",
    re.IGNORECASE,
)
MARKER = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
PINS = ("constraints.txt", "web/package-lock.json", ".npmrc", "pip.conf")
PINNED_ADDRESS = re.compile(
    r'"resolved"|^\s*registry\s*=|://.*\.(whl|tgz|tar\.gz)|^-', re.MULTILINE
)
# A script of type application/json is data: no browser runs it.
INLINE = re.compile(
    r"<style\b|<script\b(?![^>]*(\bsrc=|\btype=\"application/json\"))|\sstyle\s*=\s*[\"'{]|\son[a-z]+\s*=\s*[\"']|javascript:",
    re.IGNORECASE,
)
PAGE_FILES = (".html", ".svg")
TEMPLATE_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
SKIPS = frozenset({"skip", "skipif", "importorskip", "xfail"})
SKIPS_FOR_THE_GPU = "tests/conftest.py"


def index_addresses(source: Source) -> list[str]:
    """Addresses or options of package indexes: a machine's own settings say where to fetch."""
    patterns = [INDEX_ADDRESS, *([PINNED_ADDRESS] if source.path in PINS else [])]
    return [
        complaint(source, line, "names a package index: pins hold versions and hashes only")
        for pattern in patterns
        for line in _lines(pattern, source.text)
    ]


def unfinished_markers(source: Source) -> list[str]:
    return [
        complaint(source, line, f"{MARKER.pattern}: finish it, or write docs/decisions")
        for line in _lines(MARKER, source.text)
    ]


def inline_code(source: Source) -> list[str]:
    """Inline script or style, which the Content-Security-Policy of the pages refuses."""
    if source.path.endswith(PAGE_FILES):
        # A comment of the template language never reaches a browser; its lines still count.
        shown = TEMPLATE_COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), source.text)
        lines = _lines(INLINE, shown)
    elif source.side is not None and source.path.endswith(".py"):
        lines = [
            node.lineno
            for node in ast.walk(source.tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and INLINE.search(node.value)
        ]
    else:
        return []
    return [complaint(source, line, "inline script or style: use a file") for line in lines]


def skipped_tests(source: Source) -> list[str]:
    """Ways to leave a test out: only the mark `gpu` may, and conftest does that."""
    if not source.path.startswith("tests/") or source.path == SKIPS_FOR_THE_GPU:
        return []
    return [
        complaint(source, node.lineno, f"pytest {node.attr}: run the test or mark it gpu")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute)
        and node.attr in SKIPS
        and ast.unparse(node.value) in ("pytest", "pytest.mark")
    ]


def patched_parts(source: Source) -> list[str]:
    """Mock libraries and patched attributes: a fake implements the Protocol instead."""
    imported = [
        complaint(source, imported.line, "imports a mock library: write a fake in tests/fakes")
        for imported in source.imports
        if imported.module in ("mock", "unittest.mock", "pytest_mock")
        or (imported.module == "unittest" and imported.name == "mock")
    ]
    patched = [
        complaint(source, node.lineno, "patches an attribute: hand a fake in instead")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "monkeypatch.setattr"
    ]
    return imported + patched


def _lines(pattern: re.Pattern[str], text: str) -> list[int]:
    return [text.count("\n", 0, match.start()) + 1 for match in pattern.finditer(text)]

"""The commands people are told to type exist, and CI types the same."""

import re

from tests.house.source import ROOT, listing, text_sources

TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
QUOTED = re.compile(r"`make ([a-z]+)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^(?: {4}|\t).*$", re.MULTILINE)
TYPED = re.compile(r"^\s*(?:\$ )?make ([a-z]+)", re.MULTILINE)


def test_every_make_command_in_the_documents_exists() -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))

    found = [
        f"{source.path} tells to type `make {name}`: the Makefile has no such target"
        for source in text_sources()
        if source.path.endswith(".md")
        for name in told(source.text) - targets
    ]

    assert not found, listing(found)


def test_ci_types_the_test_command_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    last_line = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]

    assert {"demo", "test"} <= told(readme)
    assert re.fullmatch(r"exec make (--no-print-directory )?test", last_line)


def test_a_command_in_a_document_is_read() -> None:
    text = "Type `make test` or\n\n```\nmake demo ONCE=1\n```\n\n    $ make lint\n\nmake sure\n"

    assert told(text) == {"test", "demo", "lint"}


def told(text: str) -> set[str]:
    """The make targets a document names, in backticks or as a line of a block of code."""
    blocks = [*FENCED.findall(text), *INDENTED.findall(text)]
    typed = {name for block in blocks for name in TYPED.findall(block)}
    return typed | set(QUOTED.findall(text))

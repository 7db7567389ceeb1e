"""Files of the tree as values: their text, their syntax tree, what they import and define."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from tests.house.rooms import COMPOSITION, DOOR_FILES, DOOR_ROOMS, ROOMS, SIDES, Kind

ROOT = Path(__file__).parents[2]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Import:
    """One imported thing: `module` or, for `from module import name`, `module` and `name`."""

    module: str
    name: str | None
    line: int
    at_top: bool
    relative: bool

    @property
    def package(self) -> str:
        return self.module.split(".")[0]


@dataclass(frozen=True)
class Source:
    """A file by its path from the root of the tree, with forward slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.path)

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.path.removesuffix(".py").split("/"))

    @property
    def side(self) -> str | None:
        return self.parts[0] if self.parts[0] in SIDES and len(self.parts) > 1 else None

    @property
    def room(self) -> str | None:
        """The folder below the side; None for files that stand beside the rooms."""
        return self.parts[1] if self.side in ROOMS and len(self.parts) > 2 else None

    @property
    def stem(self) -> str:
        return self.parts[-1]

    @property
    def kind(self) -> Kind:
        if self.room in DOOR_ROOMS:
            return Kind(str(self.room))
        if self.room is None and self.side in COMPOSITION:
            return Kind.COMPOSITION
        in_a_room = self.room is not None and len(self.parts) == 3
        return Kind(self.stem) if in_a_room and self.stem in DOOR_FILES else Kind.PURE

    @property
    def docstring(self) -> str | None:
        return ast.get_docstring(self.tree)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(_imports(self.tree))

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        return tuple(
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        )


def _imports(tree: ast.Module) -> Iterator[Import]:
    inside = {
        id(node)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for node in ast.walk(outer)
    }
    for node in ast.walk(tree):
        at_top = id(node) not in inside
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, None, node.lineno, at_top, relative=False)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module = node.module or ""
                yield Import(module, alias.name, node.lineno, at_top, relative=node.level > 0)


def imported_path(imported: Import, paths: frozenset[str]) -> str:
    """The file of our own that an import means: a module, or the one that holds the name."""
    whole = imported.module.replace(".", "/")
    candidates = [f"{whole}/{imported.name}.py", f"{whole}/{imported.name}/__init__.py"]
    for path in (*candidates, f"{whole}.py", f"{whole}/__init__.py"):
        if path in paths:
            return path
    return f"{whole}.py"


def is_third_party(package: str) -> bool:
    return package not in sys.stdlib_module_names and package not in (*SIDES, "tests", "sites")


@cache
def tree_paths() -> tuple[str, ...]:
    """Every file git holds or would take, sorted."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = {path for path in listed.stdout.split("\0") if path}
    return tuple(sorted(path for path in found if (ROOT / path).is_file()))


@cache
def text_sources() -> tuple[Source, ...]:
    """Every text file of the tree."""
    sources = []
    for path in tree_paths():
        try:
            sources.append(Source(path, (ROOT / path).read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return tuple(sources)


@cache
def python_sources() -> tuple[Source, ...]:
    """Every Python file of the tree."""
    return tuple(source for source in text_sources() if source.path.endswith(".py"))


@cache
def product_sources() -> tuple[Source, ...]:
    """The Python files of the five sides."""
    return tuple(source for source in python_sources() if source.side is not None)


def complaint(source: Source, line: int, sentence: str) -> str:
    """A violation as an editor can jump to it."""
    return f"{source.path}:{line}: {sentence}"


def listing(complaints: list[str]) -> str:
    """What a failed rule prints: every violation on a line of its own."""
    return "\n".join(["", *complaints])

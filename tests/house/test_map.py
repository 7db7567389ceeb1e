"""docs/map.md is true: each step it names exists."""

import ast
import re

from tests.house.source import ROOT, Source, listing, tree_paths

MAP = ROOT / "docs" / "map.md"
STEP = re.compile(r"`([\w./-]+/[\w.-]+\.\w+)(?::([\w.]+))?`")
STEPS_MIN = 3


def test_every_step_of_the_map_exists() -> None:
    found = missing_steps(MAP.read_text(encoding="utf-8"))

    assert not found, listing(found)


def test_every_path_of_the_map_has_steps() -> None:
    _, *paths = MAP.read_text(encoding="utf-8").split("\n## ")

    short = [path.splitlines()[0] for path in paths if len(STEP.findall(path)) < STEPS_MIN]

    assert paths
    assert not short, f"these paths of docs/map.md name fewer than {STEPS_MIN} steps: {short}"


def test_a_step_that_does_not_exist_is_found() -> None:
    named = "`protocol/attic.py:x`, `protocol/merkle.py:x`, `protocol/merkle.py:Frontier.x`"

    assert len(missing_steps(named)) == 3


def test_a_step_that_exists_passes() -> None:
    named = (
        "`protocol/merkle.py`, `protocol/merkle.py:leaf_hash`, `protocol/merkle.py:Frontier.root`"
    )

    assert missing_steps(named) == []


def missing_steps(text: str) -> list[str]:
    """The steps a map names that are not in the tree."""
    found = []
    for path, name in STEP.findall(text):
        if path not in tree_paths():
            found.append(f"docs/map.md names `{path}`: there is no such file")
        elif name and name not in _definitions(path):
            found.append(f"docs/map.md names `{path}:{name}`: the file defines no {name}")
    return found


def _definitions(path: str) -> set[str]:
    """Names a file defines at its top, and members of its classes as `Class.member`."""
    tree = Source(path, (ROOT / path).read_text(encoding="utf-8")).tree
    names = set()
    for node in tree.body:
        names |= _defined_by(node)
        if isinstance(node, ast.ClassDef):
            members = set().union(*map(_defined_by, node.body))
            names |= {f"{node.name}.{member}" for member in members}
    return names


def _defined_by(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    return set()

"""Third-party packages: one home each, and each side's within what it declares."""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from fnmatch import fnmatchcase

from tests.house.rooms import EXTRA_OF_SIDE, HOMES, Home
from tests.house.source import Source, complaint, is_third_party


def homeless_imports(source: Source) -> list[str]:
    """Third-party imports outside the package's home, or without one."""
    found = []
    for imported in source.imports:
        if source.side is None or not is_third_party(imported.package):
            continue
        home = HOMES.get(imported.package)
        if home is None:
            sentence = f"{imported.package} has no home: give it one in HOMES, tests/house/rooms.py"
            found.append(complaint(source, imported.line, sentence))
        elif not _is_at_home(source, home):
            sentence = f"imports {imported.package}, which lives in {', '.join(home.places)}"
            found.append(complaint(source, imported.line, sentence))
    return found


def split_homes(sources: Iterable[Source]) -> list[str]:
    """Packages that one driver should hold and several files import."""
    users: dict[str, set[str]] = defaultdict(set)
    for source in sources:
        for imported in source.imports:
            home = HOMES.get(imported.package)
            if source.side is not None and home is not None and home.single:
                users[f"{source.side}: {imported.package}"].add(source.path)
    return [
        f"{package} is imported by {', '.join(sorted(paths))}: one driver file holds it"
        for package, paths in sorted(users.items())
        if len(paths) > 1
    ]


def undeclared_imports(sources: Iterable[Source], pyproject: str) -> list[str]:
    """Imports of a side that neither the distribution nor the side's extra declares."""
    project = tomllib.loads(pyproject)["project"]
    found = []
    for source in sources:
        if source.side is None:
            continue
        declared = _names(project["dependencies"])
        for extra in EXTRA_OF_SIDE[source.side]:
            declared |= _names(project["optional-dependencies"][extra])
        for imported in source.imports:
            home = HOMES.get(imported.package)
            if home is not None and _normal(home.distribution) not in declared:
                sentence = (
                    f"imports {imported.package}, and pyproject.toml does not declare"
                    f" {home.distribution} for {source.side}"
                )
                found.append(complaint(source, imported.line, sentence))
    return found


def _is_at_home(source: Source, home: Home) -> bool:
    return any(
        source.path.startswith(place) if place.endswith("/") else fnmatchcase(source.path, place)
        for place in home.places
    )


def _names(requirements: list[str]) -> set[str]:
    return {_normal(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in requirements}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

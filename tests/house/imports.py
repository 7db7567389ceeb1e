"""The dependency rule: sides, rooms in their order, doors, drivers, imports at the top."""

from tests.house.rooms import (
    COMPOSITION,
    DRIVER_USERS,
    MAY_IMPORT_KINDS,
    MAY_IMPORT_SIDES,
    MAY_IMPORT_WEB,
    ROOMS,
    SIDES,
    WEB_ENGINES,
    Kind,
)
from tests.house.source import Import, Source, complaint, imported_path


def unknown_places(source: Source) -> list[str]:
    """A room or a file beside the rooms that the plan does not know."""
    if source.side not in ROOMS:
        return []
    if source.room is None and source.stem not in COMPOSITION[source.side]:
        return [
            complaint(
                source,
                1,
                f"stands beside the rooms of {source.side}: move it into a room, or add"
                f" '{source.stem}' to COMPOSITION in tests/house/rooms.py and say why there",
            )
        ]
    if source.room is not None and source.room not in ROOMS[source.side]:
        return [
            complaint(
                source,
                1,
                f"room '{source.room}' is not in the plan: add it to ROOMS['{source.side}'] in"
                " tests/house/rooms.py after every room it uses, and to docs/map.md",
            )
        ]
    return []


def loose_imports(source: Source) -> list[str]:
    """Imports that are relative or not at the top of the file."""
    found = []
    for imported in source.imports:
        if imported.relative:
            found.append(complaint(source, imported.line, "relative import: write it absolute"))
        elif not imported.at_top:
            found.append(
                complaint(
                    source, imported.line, f"import of {imported.module} inside a block: move it up"
                )
            )
    return found


def wrong_directions(source: Source, paths: frozenset[str]) -> list[str]:
    """Imports of our own code that point the wrong way."""
    found = []
    for imported in source.imports:
        if source.side is None or imported.package not in (*SIDES, "tests", "sites"):
            continue
        sentence = _why_not(source, imported, paths)
        if sentence is not None:
            found.append(complaint(source, imported.line, sentence))
    return found


def _why_not(source: Source, imported: Import, paths: frozenset[str]) -> str | None:
    side = str(source.side)
    if imported.package not in MAY_IMPORT_SIDES[side]:
        allowed = ", ".join(sorted(MAY_IMPORT_SIDES[side]))
        return f"{side} imports {imported.package}: it may import only {allowed}"
    target = Source(imported_path(imported, paths), "")
    if target.side == "web" and side in ROOMS:
        return _why_not_web(source, target)
    if target.side != side or side not in ROOMS or source.kind is Kind.COMPOSITION:
        return _why_not_drivers(source, target)
    return _why_not_kind(source, target) or _why_not_order(source, target)


def _why_not_web(source: Source, target: Source) -> str | None:
    if source.kind not in MAY_IMPORT_WEB:
        return f"a {source.kind} file imports web: pages are made by views, api, routes and server"
    if source.kind is Kind.PURE and target.path in WEB_ENGINES:
        return f"a pure file imports {target.path}: it may import only the values of web"
    return None


def _why_not_drivers(source: Source, target: Source) -> str | None:
    if target.kind is Kind.DRIVERS and source.path not in DRIVER_USERS:
        users = ", ".join(sorted(DRIVER_USERS))
        return f"imports a driver: only {users} do; declare a Protocol and take it as an argument"
    return None


def _why_not_kind(source: Source, target: Source) -> str | None:
    if target.kind in MAY_IMPORT_KINDS[source.kind]:
        return None
    if target.kind is Kind.DRIVERS:
        return _why_not_drivers(source, target)
    allowed = ", ".join(sorted(MAY_IMPORT_KINDS[source.kind]))
    return (
        f"a {source.kind} file imports {target.path} ({target.kind}):"
        f" it may import only {allowed}; hand the thing over as an argument"
    )


def _why_not_order(source: Source, target: Source) -> str | None:
    order = ROOMS[str(source.side)]
    if source.room == target.room or source.room not in order or target.room not in order:
        return None
    if source.kind is Kind.QUERIES and target.kind is Kind.QUERIES:
        return f"queries of {source.room} import queries of {target.room}: SQL of its own room only"
    if order.index(target.room) < order.index(source.room):
        return None
    return (
        f"room {source.room} imports the later room {target.room}: turn the dependency round,"
        f" or let node.py or app.py hand it over"
    )

"""Who sees which entry of the navigation; only pages that exist are entered here.

The table follows the plan of the product: groups, at most two levels, tabs inside a page each
with a URL of its own. A group with one visible entry loses its heading.
"""

from collections.abc import Collection
from dataclasses import dataclass

TENANT_ROLES = frozenset({"owner", "admin", "billing", "member", "viewer"})
SITE_ROLES = frozenset({"site_operator", "site_owner"})
PLATFORM_ROLES = frozenset({"platform_admin"})
EVERYBODY = TENANT_ROLES | SITE_ROLES | PLATFORM_ROLES
OPERATORS = SITE_ROLES | PLATFORM_ROLES
OWNERS = frozenset({"site_owner"}) | PLATFORM_ROLES
LAUNCHERS = frozenset({"owner", "admin", "member"})


@dataclass(frozen=True, slots=True)
class Tab:
    """A page inside an entry."""

    label: str
    href: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class NavEntry:
    """One link of the navigation.  icon: a name of the sprite"""

    label: str
    href: str
    icon: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class NavGroup:
    """Entries under a heading; without a heading when `label` is empty."""

    label: str
    entries: tuple[NavEntry, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A page that the navigation leads to, entry or tab.  within: its group or its entry"""

    label: str
    within: str
    href: str


@dataclass(frozen=True, slots=True)
class _Row:
    group: str
    label: str
    href: str
    icon: str
    roles: frozenset[str]
    tabs: tuple[tuple[str, str], ...] = ()


_ROWS = (
    _Row("", "Home", "/", "home", EVERYBODY),
    _Row("Compute", "Workloads", "/workloads", "rocket", EVERYBODY),
    _Row(
        "Money",
        "Billing",
        "/billing",
        "receipt-dollar",
        EVERYBODY,
        (
            ("Balance", "/billing"),
            ("Statements", "/billing/statements"),
            ("Ledger", "/billing/ledger"),
            ("Payments", "/billing/payments"),
        ),
    ),
    _Row("Money", "Site earnings", "/site-owner", "bolt", OWNERS),
    _Row("Access", "Keys", "/access/api-keys", "key", EVERYBODY),
    _Row(
        "Operate",
        "Nodes",
        "/nodes",
        "cpu",
        OPERATORS,
        (("All", "/nodes"), ("Keys", "/nodes/keys")),
    ),
    _Row("Operate", "Sites", "/sites", "map-pin", OPERATORS),
)


def navigation(roles: Collection[str], path: str) -> tuple[NavGroup, ...]:
    """Return what somebody with these roles sees, the entry of `path` marked as current."""
    seen = [row for row in _ROWS if row.roles.intersection(roles)]
    current = max(
        (row.href for row in seen if _holds(row.href, path)),
        key=len,
        default="",
    )
    groups: dict[str, list[NavEntry]] = {}
    for row in seen:
        entry = NavEntry(row.label, row.href, row.icon, current=row.href == current)
        groups.setdefault(row.group, []).append(entry)
    return tuple(
        NavGroup(label if len(entries) > 1 else "", tuple(entries))
        for label, entries in groups.items()
    )


def places(roles: Collection[str]) -> tuple[Place, ...]:
    """Return every page that somebody with these roles is led to, each address once."""
    found: dict[str, Place] = {}
    for row in _ROWS:
        if row.roles.intersection(roles):
            found[row.href] = Place(row.label, row.group, row.href)
            for label, href in row.tabs:
                found.setdefault(href, Place(label, row.label, href))
    return tuple(found.values())


def page_tabs(path: str) -> tuple[Tab, ...]:
    """Return the tabs of the entry that `path` is a tab of; nothing for any other page."""
    for row in _ROWS:
        if path in (href for _, href in row.tabs):
            return tuple(Tab(label, href, href == path) for label, href in row.tabs)
    return ()


def may_launch(roles: Collection[str]) -> bool:
    """Say whether the Launch button is offered; the answer to a launch is checked elsewhere."""
    return bool(LAUNCHERS.intersection(roles))


def _holds(href: str, path: str) -> bool:
    if href == "/":
        return path == "/"
    return path == href or path.startswith(f"{href}/")

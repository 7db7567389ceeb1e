"""Imports follow the plan of the house."""

import pytest

from tests.house.imports import loose_imports, unknown_places, wrong_directions
from tests.house.rooms import words
from tests.house.source import Source, listing, product_sources, tree_paths


def test_every_room_is_in_the_plan() -> None:
    found = [line for source in product_sources() for line in unknown_places(source)]

    assert not found, listing(found)


def test_imports_are_absolute_and_at_the_top() -> None:
    found = [line for source in product_sources() for line in loose_imports(source)]

    assert not found, listing(found)


def test_imports_point_from_later_to_earlier() -> None:
    paths = frozenset(tree_paths())

    found = [line for source in product_sources() for line in wrong_directions(source, paths)]

    assert not found, listing(found)


def test_the_package_of_distribution_tools_keeps_its_name() -> None:
    # A folder of ours named `packaging` would hide the library of that name if it were a package.
    assert "packaging/__init__.py" not in tree_paths()


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        ("protocol/merkle.py", "import web.format", "protocol imports web"),
        ("web/format.py", "from agent.sync import exchange", "web imports agent"),
        ("agent/sync/exchange.py", "import registry.sync.answer", "agent imports registry"),
        ("registry/app.py", "import agent.node", "registry imports agent"),
        ("cli/main.py", "from web import format", "cli imports web"),
        ("agent/node.py", "from tests.fakes import site", "agent imports tests"),
        ("agent/leases/gate.py", "import agent.gateway.calls", "later room gateway"),
        ("agent/leases/gate.py", "from agent.leases import queries", "(queries)"),
        ("agent/leases/gate.py", "from agent.store.database import Db", "(store)"),
        ("agent/leases/gate.py", "import web.environment", "only the values of web"),
        ("agent/leases/queries.py", "from agent.metering import queries", "(queries)"),
        ("agent/leases/queries.py", "from web import format", "queries file imports web"),
        ("agent/leases/operations.py", "from agent.leases import loop", "(loop)"),
        ("agent/sync/client.py", "from agent.sync import operations", "(operations)"),
        ("agent/gateway/relay.py", "from agent.gateway.operations import x", "(operations)"),
        ("agent/sync/loop.py", "from agent.drivers.host import Host", "imports a driver"),
        ("agent/background.py", "from agent.drivers.host import Host", "imports a driver"),
        ("agent/drivers/host.py", "from agent.sync import operations", "(operations)"),
        ("agent/sync/loop.py", "from agent.config import Config", "(composition)"),
        ("registry/usage/views.py", "from registry.allocations import queries", "later room"),
    ],
)
def test_a_wrong_import_is_found(path: str, text: str, says: str) -> None:
    found = wrong_directions(Source(path, text), _PLANNED)

    assert len(found) == 1
    assert says in found[0]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("agent/gateway/admission.py", "from agent.leases.gate import may_start"),
        ("agent/gateway/operations.py", "from agent.usage_log import operations"),
        ("agent/gateway/operations.py", "from agent.store.database import Db"),
        ("agent/dashboard/pages.py", "from web.view_models.nodes import NodePage"),
        ("agent/drivers/host.py", "from agent.health.facts import Facts"),
        ("agent/node.py", "from agent.drivers.host import Host"),
        ("registry/usage/views.py", "from registry.server.session import signed_in"),
        ("registry/usage/views.py", "from web import format"),
    ],
)
def test_a_right_import_passes(path: str, text: str) -> None:
    assert wrong_directions(Source(path, text), _PLANNED) == []


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("agent/attic/loop.py", "room 'attic' is not in the plan"),
        ("registry/globals.py", "stands beside the rooms"),
    ],
)
def test_an_unknown_place_is_found(path: str, says: str) -> None:
    (found,) = unknown_places(Source(path, ""))

    assert says in found


@pytest.mark.parametrize(
    "text", ["from . import ids", "def f():\n    import json\n", "class A:\n    import json\n"]
)
def test_a_loose_import_is_found(text: str) -> None:
    assert len(loose_imports(Source("protocol/ids.py", text))) == 1


_PLANNED = words(
    """agent/gateway/calls.py agent/leases/queries.py agent/metering/queries.py
    agent/leases/loop.py agent/sync/operations.py agent/usage_log/operations.py
    registry/allocations/queries.py web/format.py tests/fakes/site.py"""
)

"""What tests of the registry share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry.marketplace import Marketplace, opened_market
from tests.registry.rig import Rig, running
from tests.services.databases import Databases


@pytest.fixture
def rig(databases: Databases, tmp_path: Path) -> Iterator[Rig]:
    """A registry, once on SQLite and once on PostgreSQL."""
    with running(databases, tmp_path) as made:
        yield made


@pytest.fixture
def demo_rig(databases: Databases, tmp_path: Path) -> Iterator[Rig]:
    """The same in demo mode."""
    with running(databases, tmp_path, demo=True) as made:
        yield made


@pytest.fixture
def market(demo_rig: Rig) -> Marketplace:
    """A demo registry with a node for sale."""
    return opened_market(demo_rig)

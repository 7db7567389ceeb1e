"""The node and the registry that the contracts are tested on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.edge import Edge, edge_of
from tests.services.databases import Databases


@pytest.fixture
def edge(databases: Databases, tmp_path: Path) -> Iterator[Edge]:
    with edge_of(databases, tmp_path) as enrolled:
        yield enrolled

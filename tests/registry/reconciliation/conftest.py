"""A registry that takes cards, once on SQLite and once on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry.till import Till, running_till
from tests.services.databases import Databases


@pytest.fixture
def till(databases: Databases, tmp_path: Path) -> Iterator[Till]:
    with running_till(databases, tmp_path) as made:
        yield made

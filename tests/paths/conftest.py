"""The site that the tests of a module share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths.site import Site, running_site


@pytest.fixture(scope="module")
def site(
    run_folder: Path, tmp_path_factory: pytest.TempPathFactory, busybox_image: str
) -> Iterator[Site]:
    """A site that is up, with a node that sells two simulated GPUs and one model."""
    with running_site(run_folder, tmp_path_factory.mktemp("site"), busybox_image) as site:
        yield site

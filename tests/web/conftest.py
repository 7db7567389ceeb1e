"""What tests of pages ask for: third-party files in their place, and all pages on a server."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.shared import locked
from tests.web.preview import Site, all_pages, running_site
from web import STATIC

ASSETS_S_MAX = 300


@pytest.fixture(scope="session", autouse=True)
def vendor(run_folder: Path) -> Path:
    """The folder of third-party files, filled by the script the product fills it with."""
    with locked(run_folder, "web-assets"):
        command = ["node", str(STATIC.parent / "assets.mjs")]
        subprocess.run(command, check=True, timeout=ASSETS_S_MAX, capture_output=True)
    return STATIC / "vendor"


@pytest.fixture(scope="module")
def pages(vendor: Path) -> dict[str, str]:
    """Every sample page by name."""
    return all_pages()


@pytest.fixture
def site(pages: dict[str, str]) -> Iterator[Site]:
    """The sample pages on loopback, under the policy the product sends."""
    with running_site(pages) as running:
        yield running

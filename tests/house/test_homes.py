"""Changing a package changes one room, and every package is declared where it is used."""

import pytest

from tests.house.homes import homeless_imports, split_homes, undeclared_imports
from tests.house.source import ROOT, Source, listing, product_sources

PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_each_package_is_imported_only_at_home() -> None:
    found = [line for source in product_sources() for line in homeless_imports(source)]

    assert not found, listing(found)


def test_a_driver_package_lives_in_one_file() -> None:
    found = split_homes(product_sources())

    assert not found, listing(found)


def test_each_side_imports_only_what_it_declares() -> None:
    found = undeclared_imports(product_sources(), PYPROJECT)

    assert not found, listing(found)


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        ("agent/sync/loop.py", "import aiohttp", "imports aiohttp"),
        ("agent/sync/operations.py", "import httpx", "imports httpx"),
        ("registry/usage/operations.py", "from flask import g", "imports flask"),
        ("registry/usage/operations.py", "from sqlalchemy import text", "imports sqlalchemy"),
        ("agent/usage_log/queries.py", "import sqlite_utils", "imports sqlite_utils"),
        ("protocol/ids.py", "import http_message_signatures", "imports http_message_signatures"),
        ("agent/sync/loop.py", "from cryptography import x509", "imports cryptography"),
        ("agent/health/loop.py", "import psutil", "imports psutil"),
        ("cli/main.py", "import leftpad", "leftpad has no home"),
    ],
)
def test_a_package_away_from_home_is_found(path: str, text: str, says: str) -> None:
    (found,) = homeless_imports(Source(path, text))

    assert says in found


def test_a_package_in_two_drivers_is_found() -> None:
    sources = [Source(f"agent/drivers/{name}.py", "import docker") for name in ("one", "two")]

    (found,) = split_homes(sources)

    assert "agent/drivers/one.py, agent/drivers/two.py" in found


def test_an_import_of_the_other_sides_extra_is_found() -> None:
    source = Source("registry/store/database.py", "import sqlite_utils")

    (found,) = undeclared_imports([source], PYPROJECT)

    assert "does not declare sqlite-utils for registry" in found

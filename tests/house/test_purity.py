"""Everything that is not a door is pure."""

import pytest

from tests.house.purity import catch_alls, stray_datetimes, worldly_calls, worldly_imports
from tests.house.source import Source, listing, product_sources


def test_pure_files_import_no_world() -> None:
    found = [line for source in product_sources() for line in worldly_imports(source)]

    assert not found, listing(found)


def test_pure_files_call_no_world() -> None:
    found = [line for source in product_sources() for line in worldly_calls(source)]

    assert not found, listing(found)


def test_datetime_appears_only_where_pages_show_it() -> None:
    found = [line for source in product_sources() for line in stray_datetimes(source)]

    assert not found, listing(found)


def test_everything_is_caught_only_where_a_request_or_a_work_ends() -> None:
    found = [line for source in product_sources() for line in catch_alls(source)]

    assert not found, listing(found)


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from time import monotonic",
        "import os.path",
        "from os import environ",
        "import random",
        "import secrets",
        "import socket",
        "import asyncio",
        "import subprocess",
        "import logging",
        "from urllib import request",
        "import http.client",
        "from concurrent.futures import Future",
    ],
)
def test_a_worldly_import_is_found(text: str) -> None:
    assert len(worldly_imports(Source("protocol/ids.py", text))) == 1
    assert len(worldly_imports(Source("agent/leases/gate.py", text))) == 1
    assert worldly_imports(Source("agent/leases/loop.py", text)) == []
    assert worldly_imports(Source("agent/store/database.py", text)) == []


@pytest.mark.parametrize(
    "text", ["import re", "import hashlib", "from urllib.parse import quote", "import timeit"]
)
def test_a_harmless_import_passes(text: str) -> None:
    assert worldly_imports(Source("protocol/ids.py", text)) == []


@pytest.mark.parametrize(
    "text", ["open('x')", "print(1)", "path.read_text()", "uuid.uuid4()", "Key.generate()"]
)
def test_a_worldly_call_is_found(text: str) -> None:
    assert len(worldly_calls(Source("registry/rating/charge.py", text))) == 1
    assert worldly_calls(Source("registry/rating/queries.py", text)) == []


def test_a_stray_datetime_is_found() -> None:
    assert len(stray_datetimes(Source("agent/sync/client.py", "from datetime import UTC"))) == 1
    assert stray_datetimes(Source("web/format.py", "from datetime import UTC")) == []


@pytest.mark.parametrize("caught", ["Exception", "(OSError, Exception)", "BaseException", ""])
def test_a_catch_all_is_found(caught: str) -> None:
    text = f"try:\n    f()\nexcept {caught}:\n    g()\n".replace("except :", "except:")

    assert len(catch_alls(Source("agent/sync/loop.py", text))) == 1
    assert catch_alls(Source("agent/background.py", text)) == []


def test_a_catch_all_that_raises_again_passes() -> None:
    text = "try:\n    f()\nexcept BaseException:\n    g()\n    raise\n"

    assert catch_alls(Source("agent/sync/loop.py", text)) == []

"""The store's thread: units in order, errors to their caller, one owner per file."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.store.database import Db, StoreFailed, StoreLocked
from agent.store.thread import Store


def test_operations_run_in_units_one_after_the_other(store: Store) -> None:
    async def many() -> list[int]:
        return await asyncio.gather(*(store.run(_add, at) for at in range(50)))

    assert asyncio.run(many()) == list(range(1, 51))


def test_an_operation_that_fails_hands_its_error_to_the_caller_and_writes_nothing(
    store: Store,
) -> None:
    with pytest.raises(ZeroDivisionError):
        store.run_now(_add_and_fail)

    assert store.run_now(_add, 1) == 1


def test_arguments_reach_the_operation(store: Store) -> None:
    assert store.run_now(_joined, "a", end="b") == "ab"


def test_a_second_process_is_refused_with_a_clear_sentence(store: Store, path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from agent.store.thread import Store; "
        "Store(Path(sys.argv[1]))"
    )

    second = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )

    assert second.returncode == 1
    assert "is in use by another outstation-agent (process" in second.stderr
    assert store.run_now(_add, 1) == 1


def test_a_store_that_could_not_open_leaves_the_file_free(path: Path) -> None:
    with Store(path), pytest.raises(StoreLocked):
        Store(path)

    Store(path).close()


def test_a_folder_that_is_not_there_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    with Store(tmp_path / "var" / "agent.db"):
        assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(StoreFailed, match="cannot be written"):
        Store(tmp_path / "file" / "agent.db")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store(path) as opened:
        opened.run_now(_make)
        yield opened


def _make(db: Db) -> None:
    db.write("CREATE TABLE number (value INTEGER NOT NULL) STRICT", {})


def _add(db: Db, value: int) -> int:
    db.write("INSERT INTO number VALUES (:value)", {"value": value})
    return len(db.rows("SELECT value FROM number", {}))


def _add_and_fail(db: Db) -> None:
    _add(db, 1)
    raise ZeroDivisionError


def _joined(db: Db, begin: str, *, end: str) -> str:
    return begin + end

"""A damaged file is found out before anything is served from it."""

from pathlib import Path

import pytest

from protocol.refusal import Fault
from registry.store.database import Database
from registry.store.integrity import check_intact
from registry.store.migrate import migrate
from tests.services.databases import Databases

PAGE_BYTES = 4_096


def test_a_whole_database_passes(databases: Databases) -> None:
    database = Database(databases.copy_of("registry", migrate))

    check_intact(database)

    database.close()


def test_fault_13_a_damaged_page_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "registry.sqlite"
    migrate(f"sqlite:///{file}")
    whole = bytearray(file.read_bytes())
    for at in range(10 * PAGE_BYTES, len(whole), PAGE_BYTES):
        whole[at : at + 64] = bytes([0xA5]) * 64
    file.write_bytes(whole)
    database = Database(f"sqlite:///{file}")

    with pytest.raises(Fault, match="is damaged"):
        check_intact(database)

    database.close()
    assert file.read_bytes() == bytes(whole)

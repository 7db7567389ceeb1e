"""A database that was put back from an older copy: its own entries come back, and nothing else."""

from pathlib import Path

import pytest

from agent.store.thread import Store
from agent.usage_log.operations import append, find_log_fault, verify_log
from agent.usage_log.queries import get_log
from tests.agent.sync.test_sync_loop import Site
from tests.agent.usage_log.rig import KEYS
from tests.fakes.agent_store import use


@pytest.mark.parametrize("at_once", [4_096, 2])
def test_a_database_restored_from_an_older_copy_pulls_its_entries_back(
    tmp_path: Path, at_once: int
) -> None:
    site = _site_restored_from_a_copy(tmp_path, at=3, registry_at=8)
    site.registry.pulled_at_once = at_once

    assert "pulled back, 8 entries" in site.sync()

    log = site.store.run_now(get_log)
    assert (log.frontier, log.accepted, log.parked) == (site.registry.frontier, log.frontier, None)
    assert [pull.begin for pull in site.registry.pulls][:2] == [3, 5][: len(site.registry.pulls)]
    site.written = 8
    site.write(4)
    assert site.sync() == "answered"
    assert len(site.registry.entries) == 12
    assert site.store.run_now(verify_log, KEYS).fault is None
    site.store.close()


def test_what_was_written_on_an_older_copy_is_set_aside_and_nothing_of_it_signed(
    tmp_path: Path,
) -> None:
    site = _site_restored_from_a_copy(tmp_path, at=3, registry_at=8)
    site.store.run_now(append, [use(at, owner="a_2") for at in range(20)])
    before = list(site.registry.entries)

    assert "pulled back, 8 entries" in site.sync()

    assert site.registry.entries == before
    aside = site.store.run_now(lambda db: db.rows("SELECT idx FROM usage_set_aside", {}))
    assert [row["idx"] for row in aside] == list(range(3, 23))
    assert site.store.run_now(get_log).frontier == site.registry.frontier
    assert site.store.run_now(verify_log, KEYS).fault is None
    site.store.close()


def test_entries_that_are_not_what_both_signed_are_not_gone_on_from(tmp_path: Path) -> None:
    site = _site_restored_from_a_copy(tmp_path, at=3, registry_at=8)
    site.registry.entries[5] = site.registry.entries[5].replace('"q":60000', '"q":60001')

    assert "not what this node had signed" in site.sync()

    assert all(request.log is None for request in site.registry.requests[-1:])
    assert site.store.run_now(get_log).parked is not None
    assert "older copy" in str(site.store.run_now(find_log_fault))
    site.registry.entries[5] = site.registry.entries[5].replace('"q":60001', '"q":60000')
    assert "pulled back" in site.sync()
    site.store.close()


def test_entries_that_the_registry_did_not_cosign_are_not_gone_on_from(tmp_path: Path) -> None:
    site = _site_restored_from_a_copy(tmp_path, at=3, registry_at=8)
    site.registry.cosignature = None

    assert "not pulled back yet" in site.sync()

    assert site.store.run_now(get_log).parked is not None
    site.store.close()


def _site_restored_from_a_copy(folder: Path, *, at: int, registry_at: int) -> Site:
    site = Site(folder / "agent.db").enrolled()
    site.write(at)
    site.sync()
    site.store.close()
    copy = (folder / "agent.db").read_bytes()
    site.store = Store(site.path)
    site.begin()
    site.write(registry_at - at)
    site.sync()
    site.store.close()
    for path in folder.glob("agent.db*"):
        path.unlink()
    (folder / "agent.db").write_bytes(copy)
    site.store = Store(site.path)
    site.begin()
    site.written = at
    return site

"""One byte of the node's own usage log is changed on its disk: nothing of it is ever charged."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.paths.console import said
from tests.paths.site import Site, running_site

pytestmark = pytest.mark.docker


@pytest.fixture
def site(
    run_folder: Path, tmp_path_factory: pytest.TempPathFactory, busybox_image: str
) -> Iterator[Site]:
    """A site of its own for each test: a log that is broken stays so."""
    with running_site(run_folder, tmp_path_factory.mktemp("site"), busybox_image) as site:
        yield site


def test_a_flipped_byte_is_named_nothing_more_is_charged_and_the_node_can_be_cleaned_up(
    site: Site,
) -> None:
    allocation_id = site.launch()
    site.wait("accepted entries", lambda: site.accepted() > 3)
    site.stop("registry")
    held = site.accepted()
    site.wait("entries that wait", lambda: site.log_size() > held + 2)
    site.stop("agent")
    flip_a_byte(site, held + 1)
    journals = site.journals()

    site.start_registry()
    site.start_agent()
    site.wait("the finding here", lambda: "log_broken" in [one["code"] for one in findings(site)])
    site.wait("the finding there", lambda: "log_broken" in site.open_findings())

    (finding,) = [one for one in findings(site) if one["code"] == "log_broken"]
    assert f"Entry {held + 1} was changed after it was written" in finding["detail"]
    report = said(site.agent_command("verify-log"))
    assert report.code == 11
    assert f"Entry {held + 1} was changed after it was written" in report.out
    assert site.accepted() == held
    assert site.journals() == journals
    assert site.charged() > 0
    assert site.ledger_problems() == []
    assert site.container_of(allocation_id)

    site.stop("agent")
    assert site.setting.agent("clean") == {"containers": 1}
    assert site.containers() == []


def test_a_flipped_byte_in_what_was_accepted_long_ago_is_found_at_the_next_start(
    site: Site,
) -> None:
    site.launch()
    site.wait("accepted entries", lambda: site.accepted() > 3)
    site.stop("agent")
    flip_a_byte(site, 1)

    site.start_agent()
    site.wait("the finding here", lambda: "log_broken" in [one["code"] for one in findings(site)])
    site.wait("the finding there", lambda: "log_broken" in site.open_findings())
    signed, size = site.accepted(), site.log_size()
    site.wait("usage that is kept", lambda: site.log_size() > size)

    (finding,) = [one for one in findings(site) if one["code"] == "log_broken"]
    assert "Entry 1 was changed after it was written" in finding["detail"]
    assert said(site.agent_command("verify-log")).code == 11
    doctor = said(site.agent_command("doctor")).out
    assert "BAD usage log: Entry 1 was changed after it was written." in doctor
    assert site.accepted() == signed
    assert site.ledger_problems() == []


def flip_a_byte(site: Site, index: int) -> None:
    """As somebody with a disk editor would: the database's own guards do not see it."""
    with closing(sqlite3.connect(site.node_file)) as disk, disk:
        disk.execute("DROP TRIGGER usage_entry_is_only_added")
        (entry,) = disk.execute("SELECT entry FROM usage_entry WHERE idx = ?", [index]).fetchone()
        middle = len(entry) // 2
        flipped = entry[:middle] + bytes([entry[middle] ^ 1]) + entry[middle + 1 :]
        disk.execute("UPDATE usage_entry SET entry = ? WHERE idx = ?", [flipped, index])


def findings(site: Site) -> list[dict[str, str]]:
    found: list[dict[str, str]] = site.setting.agent("status")["findings"]
    return found

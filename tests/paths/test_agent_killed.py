"""The agent dies, or the engine goes away: what runs goes on, and its bill is unbroken."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths.site import GPU_PRICE, TICK_MS, Site, prepared_site, rated

pytestmark = pytest.mark.docker

DOWN_S = 2.5
"""Longer than two ticks, so that a bill that forgot the time would show."""


@pytest.fixture(scope="module")
def site(
    run_folder: Path, tmp_path_factory: pytest.TempPathFactory, busybox_image: str
) -> Iterator[Site]:
    """A site whose agent reaches the engine through a door that can be shut."""
    folder = tmp_path_factory.mktemp("site")
    with prepared_site(run_folder, folder, busybox_image) as site, site.engine_behind_a_door():
        site.start_all()
        yield site


def test_a_killed_agent_adopts_its_container_and_bills_every_millisecond_once(site: Site) -> None:
    allocation_id = site.launch()
    before = site.container_of(allocation_id)

    site.kill("agent")
    recorded = len(site.uses(allocation_id))
    time.sleep(DOWN_S)
    assert site.container_of(allocation_id) == before
    site.start_agent()
    site.wait("usage after the crash", lambda: len(site.uses(allocation_id)) > recorded)

    assert site.container_of(allocation_id) == before
    assert len(site.containers()) == 1
    done = site.release(allocation_id)
    _assert_unbroken(site, allocation_id, done)
    assert site.containers() == []


def test_an_engine_that_went_away_is_no_end_and_its_container_is_adopted(site: Site) -> None:
    allocation_id = site.launch()
    before = site.container_of(allocation_id)

    site.shut_the_door()
    site.wait("the finding about the engine", lambda: "docker_down" in site.open_findings())
    site.kill("agent")
    site.start_agent()
    time.sleep(DOWN_S)
    assert site.show(allocation_id)["state"] == "active"
    assert not [one for one in site.entries() if one["k"] == "cls" and one["alc"] == allocation_id]
    assert site.container_of(allocation_id) == before
    recorded = len(site.uses(allocation_id))

    site.open_the_door()
    site.wait("usage after the return", lambda: len(site.uses(allocation_id)) > recorded)
    site.wait("no finding", lambda: not site.open_findings())
    assert site.container_of(allocation_id) == before
    done = site.release(allocation_id)
    _assert_unbroken(site, allocation_id, done)


def _assert_unbroken(site: Site, allocation_id: str, done: dict[str, int]) -> None:
    """One opening, one end, no hole and no overlap between; charged from ready to release."""
    kinds = [one["k"] for one in site.entries() if one.get("alc") == allocation_id]
    assert (kinds[0], kinds[-1]) == ("opn", "cls")
    assert set(kinds[1:-1]) == {"use"}
    uses = site.uses(allocation_id)
    assert all(one["t1"] == after["t0"] for one, after in itertools.pairwise(uses))
    assert all(one["q"] == one["t1"] - one["t0"] for one in uses)
    assert uses[-1]["cum"] == sum(one["q"] for one in uses)
    micros, per = GPU_PRICE
    used_ms = done["release_at_ms"] - done["ready_at_ms"]
    charged_ms = done["spent_micros"] * per / micros
    assert abs(charged_ms - used_ms) <= TICK_MS
    assert done["spent_micros"] == rated(uses, {allocation_id: done["release_at_ms"]})
    assert site.verify_log()["intact"] is True
    assert site.ledger_problems() == []

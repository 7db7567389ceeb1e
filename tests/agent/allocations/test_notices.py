"""A workload is told ten minutes before its cover ends, and told no more once it is extended."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.allocations.notices import NOTICE_MS
from agent.drivers.notice_files import NoticeFiles
from agent.leases.gate import NodeLease, cover_ends_boot_ms
from protocol.clock import HOUR_MS, MINUTE_MS
from protocol.lease import HeldLease
from protocol.money import Micros
from tests.fakes.node import node
from tests.fakes.orders import TENANT, fresh_id, order

HOURLY = 3_600_000


def lease(amount: int, expires_ms: int, *, spent: int = 0, recalled: bool = False) -> NodeLease:
    held = HeldLease(1, TENANT, Micros(amount), Micros(spent), Micros(0), expires_ms)
    return NodeLease(held, boot_id="b", recalled=recalled, exhausted=False)


leases_ = st.lists(
    st.builds(lease, st.integers(1, 10**8), st.integers(0, 10 * HOUR_MS)), max_size=5
)


def ends(leases: list[NodeLease], hourly: int = HOURLY) -> int:
    return cover_ends_boot_ms(leases, hourly_micros=hourly, boot_id="b", boot_ms=1_000)


def test_cover_ends_with_the_money_or_with_the_life_of_the_lease() -> None:
    assert ends([lease(HOURLY, 10 * HOUR_MS)]) == 1_000 + HOUR_MS
    assert ends([lease(HOURLY, 10 * HOUR_MS, spent=HOURLY // 2)]) == 1_000 + HOUR_MS // 2
    assert ends([lease(HOURLY, MINUTE_MS)]) == MINUTE_MS
    assert ends([lease(HOURLY, 10 * HOUR_MS)], hourly=0) == 10 * HOUR_MS
    assert ends([lease(HOURLY, 10 * HOUR_MS, recalled=True)]) == 1_000
    assert ends([]) == 1_000


@given(leases=leases_, more=st.builds(lease, st.integers(1, 10**8), st.integers(0, 10 * HOUR_MS)))
def test_another_lease_never_ends_cover_earlier(leases: list[NodeLease], more: NodeLease) -> None:
    assert ends(leases) <= ends([*leases, more])


@given(leases=leases_)
def test_cover_never_outlives_the_leases_nor_their_money(leases: list[NodeLease]) -> None:
    last = max((one.held.expires_at_boot_ms for one in leases), default=0)
    money_ms = sum(one.held.amount for one in leases) * HOUR_MS // HOURLY

    assert ends(leases) <= max(1_000, min(last, 1_000 + money_ms))


def test_a_run_is_told_before_its_cover_ends_and_told_no_more_after_a_top_up(
    tmp_path: Path,
) -> None:
    with node(tmp_path) as site:
        wanted = order(fresh_id("allocation"))
        site.want(wanted)
        site.paces = {TENANT: HOURLY}
        site.run_pass()
        calm = dict(site.notices.texts)

        site.grant(HOURLY // 10)
        site.run_pass()
        text = site.notices.texts[wanted.allocation_id]
        told = site.run_of(wanted.allocation_id).detail
        site.grant()
        site.run_pass()

        assert calm == {}
        said = json.loads(text)
        assert said["event"] == "balance_ends"
        assert 0 < said["ends_at_ms"] - site.now_ms <= NOTICE_MS
        assert "ten minutes" in told
        assert site.notices.texts == {}
        assert site.run_of(wanted.allocation_id).detail == ""


def test_notices_are_files_that_others_can_read_and_go_with_their_allocation(
    tmp_path: Path,
) -> None:
    notices, mine, other = NoticeFiles(tmp_path / "n"), fresh_id("allocation"), "a_" + "0" * 29
    notices.prepare(mine)
    file = tmp_path / "n" / mine / "notice.json"

    assert notices.put(mine, "one")
    assert not notices.put(mine, "one")
    assert file.read_text() == "one"
    assert file.stat().st_mode & 0o777 == 0o644
    assert notices.put(mine, None)
    assert not file.exists()
    assert not notices.put(other, "never prepared")
    notices.keep_only(frozenset())
    assert list((tmp_path / "n").iterdir()) == []


@pytest.mark.parametrize("name", ["../a", "a_1", ""])
def test_no_name_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(AssertionError):
        NoticeFiles(tmp_path).prepare(name)

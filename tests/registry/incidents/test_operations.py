"""Findings open, stay and close by what is reported; a repeated report changes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from protocol.health import Finding
from registry.incidents.operations import (
    close_finding,
    open_finding,
    record_findings,
    settle_findings,
)
from registry.incidents.queries import OpenFinding, list_open
from registry.store.database import Db
from tests.registry.marketplace import Marketplace

HOT = Finding(
    code="gpu_hot",
    severity="warning",
    subject="GPU-1",
    since_ms=1_000,
    detail="91 °C",
    remedy="Look at the fans.",
)
LOST = Finding(
    code="gpu_lost",
    severity="critical",
    subject="GPU-2",
    since_ms=2_000,
    detail="fell off the bus",
    remedy="Reseat it.",
)
CLOCK = Finding(
    code="clock_off", severity="warning", subject="", since_ms=3_000, detail="6 s", remedy="NTP."
)


@dataclass(frozen=True, slots=True)
class Desk:
    """A unit of work, and the node that it is about."""

    db: Db
    node_id: str

    def open(self) -> list[OpenFinding]:
        return list_open(self.db, node_id=self.node_id)

    def codes(self) -> list[tuple[str, str]]:
        return [(found.code, found.subject) for found in self.open()]

    def reported(self, *findings: Finding, at_ms: int) -> None:
        record_findings(self.db, self.node_id, findings, now_ms=at_ms)


@pytest.fixture
def desk(market: Marketplace) -> Iterator[Desk]:
    with market.rig.database.unit() as opened:
        yield Desk(opened, market.node_id)


def test_the_worst_and_oldest_come_first(desk: Desk) -> None:
    desk.reported(HOT, LOST, at_ms=5_000)

    assert desk.codes() == [("gpu_lost", "GPU-2"), ("gpu_hot", "GPU-1")]


def test_a_finding_keeps_its_beginning_while_its_words_follow(desk: Desk) -> None:
    desk.reported(HOT, at_ms=5_000)
    hotter = Finding("gpu_hot", "critical", "GPU-1", 9_000, "96 °C", "Stop it.")

    desk.reported(hotter, at_ms=9_000)

    (found,) = desk.open()
    assert (found.since_ms, found.severity, found.detail) == (1_000, "critical", "96 °C")


def test_what_a_node_leaves_out_is_closed_and_may_open_again(desk: Desk) -> None:
    desk.reported(HOT, LOST, at_ms=5_000)

    desk.reported(HOT, at_ms=6_000)
    assert desk.codes() == [("gpu_hot", "GPU-1")]

    desk.reported(LOST, HOT, at_ms=7_000)
    assert len(desk.codes()) == 2


def test_a_nodes_report_does_not_close_what_the_registry_found(desk: Desk) -> None:
    open_finding(desk.db, desk.node_id, CLOCK, now_ms=4_000)

    desk.reported(at_ms=5_000)

    assert desk.codes() == [("clock_off", "")]
    assert close_finding(desk.db, desk.node_id, code="clock_off", now_ms=6_000)
    assert not close_finding(desk.db, desk.node_id, code="clock_off", now_ms=6_000)


def test_the_registrys_findings_of_a_call_follow_each_call(desk: Desk) -> None:
    refused = Finding("log_refused", "critical", "", 1, "x", "y")
    open_finding(desk.db, desk.node_id, refused, now_ms=1)
    kinds = frozenset({"clock_off"})

    settle_findings(desk.db, desk.node_id, [CLOCK], codes=kinds, now_ms=4_000)
    settle_findings(desk.db, desk.node_id, [CLOCK], codes=kinds, now_ms=5_000)
    assert desk.codes() == [("log_refused", ""), ("clock_off", "")]

    settle_findings(desk.db, desk.node_id, [], codes=kinds, now_ms=6_000)
    assert desk.codes() == [("log_refused", "")]

"""Passes over a node that falls ill and recovers, in the real database."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.health.checks import CHECKS
from agent.health.facts import Facts
from agent.health.loop import HealthWatch
from agent.health.queries import delete_finding, list_findings, put_finding
from agent.store.thread import Store
from protocol.health import Finding
from tests.agent.health.facts_of import NOW_MS, WELL, with_card, with_facts


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "node.db") as store:
        yield store


def test_a_finding_opens_stays_with_its_beginning_and_closes(store: Store) -> None:
    hot, hotter = with_card(temperature_c=90), with_card(temperature_c=96)
    passes = [replace(facts, at_ms=NOW_MS + n) for n, facts in enumerate([WELL, hot, hotter, WELL])]

    reports, standing = watched(store, passes)

    assert reports == [
        "0 findings, 0 critical, 0 opened, 0 closed",
        "1 findings, 0 critical, 1 opened, 0 closed",
        "1 findings, 1 critical, 0 opened, 0 closed",
        "0 findings, 0 critical, 0 opened, 1 closed",
    ]
    assert [[f.severity for f in found] for found in standing] == [
        [],
        ["warning"],
        ["critical"],
        [],
    ]
    assert standing[1][0].since_ms == standing[2][0].since_ms == NOW_MS + 1
    assert "96 °C" in standing[2][0].detail


def test_an_open_finding_outlives_the_agent(store: Store) -> None:
    ill = with_facts(docker_fault="connection refused")
    watched(store, [ill])

    reports, standing = watched(store, [replace(ill, at_ms=NOW_MS + 60_000)])

    assert reports == ["1 findings, 1 critical, 0 opened, 0 closed"]
    assert standing[0][0].since_ms == NOW_MS


def test_a_finding_comes_back_with_a_new_beginning(store: Store) -> None:
    ill = with_facts(docker_fault="connection refused")

    _, standing = watched(store, [ill, WELL, replace(ill, at_ms=NOW_MS + 5)])

    assert standing[2][0].since_ms == NOW_MS + 5


def test_what_is_stored_is_what_is_listed(store: Store) -> None:
    second = Finding("gpu_hot", "warning", "GPU-1", 5, "Hot.", "Cool it.")
    first = Finding("disk_full", "critical", "/", 7, "Full.", "Empty it.")
    for finding in (second, first):
        store.run_now(put_finding, finding)

    assert store.run_now(list_findings) == [first, second]
    assert store.run_now(delete_finding, code="gpu_hot", subject="GPU-1")
    assert not store.run_now(delete_finding, code="gpu_hot", subject="GPU-1")
    assert store.run_now(list_findings) == [first]


def watched(store: Store, passes: list[Facts]) -> tuple[list[str], list[list[Finding]]]:
    """The report of each pass and what stood open after it."""
    coming = iter(passes)

    async def gather() -> Facts:
        return next(coming)

    async def all_passes() -> tuple[list[str], list[list[Finding]]]:
        watch = HealthWatch(store, gather, CHECKS)
        reports, standing = [], []
        for _ in passes:
            reports.append(await watch())
            standing.append(await store.run(list_findings))
        return reports, standing

    return asyncio.run(all_passes())

"""Each check on both sides of its bound."""

import ast
from pathlib import Path

import msgspec
import pytest

from agent.health import checks
from agent.health.check import findings
from agent.health.checks import CHECKS
from agent.health.facts import Facts
from protocol.health import Finding
from tests.agent.health.facts_of import NOW_MS, WELL, with_card, with_facts, with_host

GIB = 1024
CODES = {
    "clock_skew",
    "disk_full",
    "docker_down",
    "driver_missing",
    "egress_unprotected",
    "gpu_hot",
    "gpu_lost",
    "log_broken",
    "memory_low",
    "registry_silent",
    "usage_unwritten",
}


def test_a_node_in_good_health_has_no_findings() -> None:
    assert findings(CHECKS, WELL) == []


def test_a_node_that_is_not_enrolled_and_has_no_gpu_may_be_well_too() -> None:
    alone = with_facts(accelerators=(), clock_skew_ms=None, registry_silent_ms=None)

    assert findings(CHECKS, alone) == []


def test_every_check_is_asked() -> None:
    files = {path.stem for path in Path(checks.__path__[0]).glob("*.py")} - {"__init__"}

    assert {check.code for check in CHECKS} == CODES == files
    assert len(CHECKS) == len(CODES)


ILL = [
    (with_facts(docker_fault="connection refused"), "docker_down", "critical", "docker"),
    (with_facts(log_fault="entry 7 is not canonical"), "log_broken", "critical", "usage_log"),
    (with_facts(usage_fault="There is no room."), "usage_unwritten", "critical", "usage"),
    (with_facts(egress_fault="no rules are installed"), "egress_unprotected", "warning", "egress"),
    (
        with_facts(egress_fault="no rules are installed", networked_containers=2),
        "egress_unprotected",
        "critical",
        "egress",
    ),
    (with_facts(driver_fault="No driver answers."), "driver_missing", "critical", "driver"),
    (with_card(loss="it has fallen off the bus"), "gpu_lost", "critical", "GPU-1"),
    (with_card(temperature_c=87), "gpu_hot", "warning", "GPU-1"),
    (with_card(temperature_c=95), "gpu_hot", "critical", "GPU-1"),
    (with_facts(clock_skew_ms=5_001), "clock_skew", "warning", "clock"),
    (with_facts(clock_skew_ms=-5_001), "clock_skew", "warning", "clock"),
    (with_facts(clock_skew_ms=300_001), "clock_skew", "critical", "clock"),
    (with_facts(clock_skew_ms=-300_001), "clock_skew", "critical", "clock"),
    (with_facts(registry_silent_ms=60_001), "registry_silent", "warning", "registry"),
    (with_facts(registry_silent_ms=43_200_001), "registry_silent", "critical", "registry"),
    (with_host(disk_free_mib=10 * GIB - 1), "disk_full", "warning", "/var/lib/outstation"),
    (with_host(disk_free_mib=2 * GIB - 1), "disk_full", "critical", "/var/lib/outstation"),
    (
        with_host(disk_total_mib=20 * GIB, disk_free_mib=2 * GIB - 1),
        "disk_full",
        "warning",
        "/var/lib/outstation",
    ),
    (with_host(memory_available_mib=13_107), "memory_low", "warning", "memory"),
    (with_host(memory_available_mib=3_932), "memory_low", "critical", "memory"),
]


@pytest.mark.parametrize(("facts", "code", "severity", "subject"), ILL)
def test_what_is_beyond_its_bound_is_found(
    facts: Facts, code: str, severity: str, subject: str
) -> None:
    (finding,) = findings(CHECKS, facts)

    assert (finding.code, finding.severity, finding.subject) == (code, severity, subject)
    assert finding.since_ms == NOW_MS
    assert finding.detail.endswith((".", "refused", "canonical", "installed"))
    assert finding.remedy.endswith(".")
    assert msgspec.json.decode(msgspec.json.encode(finding), type=Finding) == finding


@pytest.mark.parametrize(
    "facts",
    [
        with_card(temperature_c=86),
        with_card(temperature_c=None),
        with_facts(clock_skew_ms=5_000),
        with_facts(clock_skew_ms=-5_000),
        with_facts(registry_silent_ms=60_000),
        with_host(disk_free_mib=10 * GIB),
        with_host(disk_total_mib=20 * GIB, disk_free_mib=2 * GIB),
        with_host(memory_available_mib=13_108),
    ],
)
def test_what_is_at_its_bound_is_well(facts: Facts) -> None:
    assert findings(CHECKS, facts) == []


def test_every_check_is_tested_on_its_ill_side() -> None:
    assert {code for _, code, _, _ in ILL} == CODES


def test_a_lost_card_names_who_held_it() -> None:
    (finding,) = findings(CHECKS, with_card(loss="it must be reset", held_by="a_1"))

    assert finding.detail == "GPU GPU-1 (NVIDIA H200) is lost: it must be reset. It is held by a_1."


def test_a_driver_fault_brings_its_own_remedy() -> None:
    facts = with_facts(driver_fault="Versions differ.", driver_remedy="Reboot the node.")

    (finding,) = findings(CHECKS, facts)

    assert finding.remedy == "Reboot the node."


def test_no_check_looks_anywhere_but_at_the_facts() -> None:
    allowed = {"agent.health.check", "agent.health.facts", "collections.abc"}
    for path in Path(checks.__path__[0]).glob("[a-z]*.py"):
        tree = ast.parse(path.read_text())
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert imported <= allowed

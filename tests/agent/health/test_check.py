"""How answers become findings that know since when."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.health.check import Check, Complaint, findings, outcome, why_sales_stop
from agent.health.checks import CHECKS
from agent.health.facts import Facts
from protocol.health import Finding
from tests.agent.health.facts_of import NOW_MS, WELL, with_card, with_facts, with_host

found_strategy = st.lists(
    st.builds(
        Finding,
        code=st.sampled_from(["gpu_hot", "disk_full", "gpu_lost"]),
        severity=st.sampled_from(["info", "warning", "critical"]),
        subject=st.sampled_from(["", "GPU-1", "GPU-2"]),
        since_ms=st.integers(0, NOW_MS),
        detail=st.sampled_from(["one", "another"]),
        remedy=st.just("Do something."),
    ),
    unique_by=lambda finding: (finding.code, finding.subject),
)


@given(found_strategy, found_strategy)
def test_a_finding_keeps_its_beginning_while_it_stays_open(
    before: list[Finding], found: list[Finding]
) -> None:
    after = outcome(before, found)

    began = {key_of(finding): finding.since_ms for finding in before}
    for finding, standing in zip(found, after.standing, strict=True):
        since_ms = began.get(key_of(finding), finding.since_ms)
        assert standing == msgspec.structs.replace(finding, since_ms=since_ms)
    assert {key_of(f) for f in after.opened} == keys(found) - keys(before)
    assert {key_of(f) for f in after.closed} == keys(before) - keys(found)


@given(found_strategy)
def test_the_same_pass_again_changes_nothing(found: list[Finding]) -> None:
    after = outcome(outcome([], found).standing, found)

    assert list(after.standing) == found
    assert after.opened == after.closed == ()


def test_one_code_and_subject_is_one_finding_the_first_of_them() -> None:
    check = Check(
        code="twice",
        question=lambda _: [Complaint("critical", "one", "Do."), Complaint("info", "two", "Do.")],
    )

    (finding,) = findings([check], WELL)

    assert finding.detail == "one"


def test_a_sentence_of_a_third_party_is_cut_to_what_the_wire_takes() -> None:
    check = Check(
        code="long", question=lambda _: [Complaint("info", "x" * 9_999, "y" * 9_999, "z" * 999)]
    )

    (finding,) = findings([check], WELL)

    assert msgspec.json.decode(msgspec.json.encode(finding), type=Finding) == finding
    assert (len(finding.detail), len(finding.remedy), len(finding.subject)) == (512, 512, 128)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (with_host(disk_free_mib=100), "disk_full"),
        (with_host(memory_available_mib=100), "memory_low"),
        (with_facts(docker_fault="refused"), "docker_down"),
        (with_facts(log_fault="a gap"), "log_broken"),
        (with_facts(egress_fault="no rules", networked_containers=1), "egress_unprotected"),
        (with_facts(driver_fault="no driver"), "driver_missing"),
    ],
)
def test_a_node_that_cannot_do_right_by_a_tenant_sells_nothing(facts: Facts, code: str) -> None:
    finding = why_sales_stop(CHECKS, findings(CHECKS, facts))

    assert finding is not None
    assert finding.code == code


@pytest.mark.parametrize(
    "facts",
    [
        WELL,
        with_host(disk_free_mib=9 * 1024),
        with_facts(registry_silent_ms=10**9),
        with_facts(clock_skew_ms=10**9),
        with_card(temperature_c=99),
        with_card(loss="gone"),
    ],
)
def test_what_concerns_one_card_or_the_uplink_does_not_stop_the_sale(facts: Facts) -> None:
    assert why_sales_stop(CHECKS, findings(CHECKS, facts)) is None


def key_of(finding: Finding) -> tuple[str, str]:
    return finding.code, finding.subject


def keys(found: list[Finding]) -> set[tuple[str, str]]:
    return {key_of(finding) for finding in found}

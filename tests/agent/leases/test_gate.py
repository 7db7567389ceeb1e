"""The gate: what a tenant's leases allow."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.leases.gate import NO_LEASE, NodeLease, Verdict, closing_reason, expiry_boot_ms, verdict
from protocol.lease import HeldLease
from protocol.money import Micros

LEASE = NodeLease(
    held=HeldLease(
        lease_id=1,
        tenant_id="t_1",
        amount=Micros(100),
        spent=Micros(0),
        reserved=Micros(0),
        expires_at_boot_ms=1_000,
    ),
    boot_id="boot",
    recalled=False,
    exhausted=False,
)
leases = st.builds(
    lambda spent, reserved, boot_id, recalled, exhausted: NodeLease(
        held=replace(LEASE.held, spent=Micros(spent), reserved=Micros(reserved)),
        boot_id=boot_id,
        recalled=recalled,
        exhausted=exhausted,
    ),
    st.integers(0, 50),
    st.integers(0, 50),
    st.sampled_from(["boot", "other"]),
    st.booleans(),
    st.booleans(),
)


def test_without_a_lease_nothing_starts_and_everything_stops() -> None:
    assert _verdict([]) == NO_LEASE
    assert NO_LEASE.must_stop


def test_a_live_lease_with_room_lets_work_start() -> None:
    assert _verdict([LEASE]).may_start


def test_work_that_has_its_stretch_set_aside_goes_on_though_nothing_more_may_start() -> None:
    after = _verdict([_held(spent=40, reserved=60)])

    assert (after.may_start, after.may_continue, after.reason) == (False, True, "spent")


def test_a_lease_ends_at_its_expiry_and_says_when() -> None:
    after = _verdict([_held(reserved=10)], boot_ms=1_000)

    assert after.must_stop
    assert (after.since_boot_ms, after.reason) == (1_000, "expired")


def test_a_recalled_lease_stops_work() -> None:
    assert _verdict([replace(LEASE, recalled=True)]).reason == "recalled"
    assert _verdict([replace(LEASE, recalled=True)]).must_stop


def test_after_a_reboot_no_lease_is_trusted_until_it_is_confirmed() -> None:
    after = _verdict([replace(LEASE, boot_id="before")])

    assert after.must_stop
    assert after.reason == "unconfirmed"


def test_uncovered_work_stops_though_a_lease_has_a_little_left() -> None:
    after = verdict([LEASE], boot_id="boot", boot_ms=0, uncovered_since_boot_ms=7)

    assert after.must_stop
    assert after.since_boot_ms == 7


@given(st.lists(leases, max_size=4), st.integers(0, 2_000), st.none() | st.integers(0, 9))
def test_may_start_implies_may_continue_and_a_reason_stands_for_every_no(
    held: list[NodeLease], boot_ms: int, uncovered: int | None
) -> None:
    after = verdict(held, boot_id="boot", boot_ms=boot_ms, uncovered_since_boot_ms=uncovered)

    assert after.may_continue != after.must_stop
    assert not after.may_start or after.may_continue
    assert (after.reason == "") == after.may_start


@given(st.integers(0, 10**12), st.integers(0, 10**10))
def test_a_lease_is_shortened_by_the_drift_and_never_prolonged(sent: int, life: int) -> None:
    end = expiry_boot_ms(sent_boot_ms=sent, expires_in_ms=life)

    assert 998 * life <= (end - sent) * 1000 + 999
    assert (end - sent) * 1000 <= 998 * life


def test_a_lease_closes_when_recalled_spent_or_expired_and_not_before() -> None:
    assert _closing(LEASE) == ""
    assert _closing(replace(LEASE, recalled=True)) == "recalled"
    assert _closing(_held(spent=100)) == "spent"
    assert _closing(replace(LEASE, exhausted=True)) == "spent"
    assert _closing(LEASE, boot_ms=1_000) == "expired"
    assert _closing(replace(LEASE, boot_id="before"), boot_ms=1_000) == ""


def _held(*, spent: int = 0, reserved: int = 0) -> NodeLease:
    held = replace(LEASE.held, spent=Micros(spent), reserved=Micros(reserved))
    return replace(LEASE, held=held)


def _verdict(held: list[NodeLease], *, boot_ms: int = 0) -> Verdict:
    return verdict(held, boot_id="boot", boot_ms=boot_ms, uncovered_since_boot_ms=None)


def _closing(lease: NodeLease, *, boot_ms: int = 0) -> str:
    return closing_reason(lease, boot_id="boot", boot_ms=boot_ms)

"""However work is reserved and settled, a lease never promises more than its amount."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.lease import HeldLease, is_live, lease_for, remaining, reserved, settled
from protocol.money import Micros

LEASE = HeldLease(1, "t_1", Micros(100), Micros(0), Micros(0), expires_at_boot_ms=1_000)
jobs = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=20)


@given(jobs)
def test_reserving_and_settling_never_goes_beyond_the_amount(work: list[tuple[int, int]]) -> None:
    lease = LEASE
    spent = 0
    for worst, share in work:
        if worst > remaining(lease):
            continue
        lease = reserved(lease, Micros(worst))
        actual = min(share, worst)
        lease = settled(lease, worst=Micros(worst), actual=Micros(actual))
        spent += actual

        assert lease.reserved == 0
        assert lease.spent == spent <= lease.amount
        assert remaining(lease) == lease.amount - spent


@given(jobs)
def test_what_is_reserved_at_once_fits(work: list[tuple[int, int]]) -> None:
    lease = LEASE
    held = [worst for worst, _ in work]
    taken = []
    for worst in held:
        if worst <= remaining(lease):
            lease = reserved(lease, Micros(worst))
            taken.append(worst)

    assert lease.reserved == sum(taken) <= lease.amount


def test_settling_above_the_worst_case_is_counted_in_full() -> None:
    lease = settled(reserved(LEASE, Micros(10)), worst=Micros(10), actual=Micros(15))

    assert (lease.spent, lease.reserved, remaining(lease)) == (15, 0, 85)


def test_a_lease_lives_until_its_moment_or_its_close() -> None:
    closed = HeldLease(1, "t_1", Micros(1), Micros(0), Micros(0), 1_000, closed=True)

    assert is_live(LEASE, boot_ms=999)
    assert not is_live(LEASE, boot_ms=1_000)
    assert not is_live(closed, boot_ms=0)


def test_work_takes_the_lease_that_ends_first_and_has_room() -> None:
    full = HeldLease(2, "t_1", Micros(100), Micros(95), Micros(0), expires_at_boot_ms=500)
    ended = HeldLease(3, "t_1", Micros(100), Micros(0), Micros(0), expires_at_boot_ms=10)
    late = HeldLease(4, "t_1", Micros(100), Micros(0), Micros(0), expires_at_boot_ms=2_000)
    leases = [late, LEASE, full, ended]

    assert lease_for(leases, Micros(10), boot_ms=20) is LEASE
    assert lease_for(leases, Micros(5), boot_ms=20) is full
    assert lease_for(leases, Micros(101), boot_ms=20) is None
    assert lease_for([], Micros(0), boot_ms=20) is None

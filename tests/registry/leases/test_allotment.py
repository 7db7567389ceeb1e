"""How much a node is handed."""

from hypothesis import given
from hypothesis import strategies as st

from registry.leases.allotment import (
    FLOOR_MICROS,
    Live,
    Want,
    final_unit,
    grant_amount,
    is_enough,
    surplus,
    target,
)
from registry.leases.terms import TERMS, Terms

HOUR_MS = 3_600_000
USUAL = TERMS["standard"]
wants = st.builds(Want, st.just("t_1"), st.integers(0, 10**9), st.booleans())
lives = st.lists(
    st.builds(Live, st.integers(-(10**6), 10**10), st.integers(0, USUAL.life_ms)), max_size=4
)


def test_a_node_is_handed_four_hours_of_its_burn() -> None:
    assert target(Want("t_1", 2_500_000), USUAL) == 10_000_000


def test_a_node_that_serves_a_tenant_s_keys_holds_a_floor() -> None:
    assert target(Want("t_1", 0, serves_models=True), USUAL) == FLOOR_MICROS
    assert target(Want("t_1", 0), USUAL) == 0


def test_calls_that_nobody_else_saw_are_topped_up_to_a_limit_an_hour() -> None:
    most = USUAL.calls_micros_max

    def granted(hourly: int, called: int) -> int:
        want = Want("t_1", hourly, serves_models=True, called_micros=called)
        return grant_amount(want, [], available=10**12, now_ms=0, terms=USUAL)

    assert granted(0, 0) == FLOOR_MICROS
    assert granted(0, most - 1) == 1
    assert granted(0, most) == 0
    assert granted(2_500_000, most - 1) == 10_000_000
    assert granted(2_500_000, most) == 0


def test_half_of_what_is_available_stays_for_other_nodes() -> None:
    assert (
        grant_amount(Want("t_1", 2_500_000), [], available=12_000_000, now_ms=0, terms=USUAL)
        == 6_000_000
    )


def test_the_last_unit_goes_out_whole() -> None:
    assert (
        grant_amount(Want("t_1", 2_500_000), [], available=2_000_000, now_ms=0, terms=USUAL)
        == 2_000_000
    )


def test_a_node_is_topped_up_when_less_than_half_is_left() -> None:
    want = Want("t_1", 2_500_000)

    half = [Live(5_000_000, USUAL.life_ms)]
    less = [Live(4_999_999, USUAL.life_ms)]

    assert grant_amount(want, half, available=10**9, now_ms=0, terms=USUAL) == 0
    assert grant_amount(want, less, available=10**9, now_ms=0, terms=USUAL) == 5_000_001


def test_a_lease_near_its_end_is_renewed() -> None:
    want = Want("t_1", 2_500_000)
    live = [Live(10_000_000, USUAL.renew_ms)]

    assert grant_amount(want, live, available=10**9, now_ms=0, terms=USUAL) == 10_000_000


@given(
    want=wants,
    live=lives,
    terms=st.sampled_from(sorted(TERMS.values(), key=lambda terms: terms.life_ms)),
    available=st.integers(-(10**9), 10**12),
    now_ms=st.integers(0, 10),
)
def test_a_grant_fits_what_is_available_and_what_is_missing(
    want: Want, live: list[Live], terms: Terms, available: int, now_ms: int
) -> None:
    amount = grant_amount(want, live, available=available, now_ms=now_ms, terms=terms)

    assert 0 <= amount <= max(available, 0)
    assert amount <= target(want, terms)
    assert amount <= max(available // 2, min(available, final_unit(want)), 0)


def test_a_node_gives_back_what_it_holds_beyond_twice_its_need() -> None:
    want = Want("t_1", 0, serves_models=True)
    live = {1: Live(10 * FLOOR_MICROS, 9), 2: Live(FLOOR_MICROS, 9)}

    assert surplus(want, live, terms=USUAL) == {1}
    assert surplus(want, {2: Live(2 * FLOOR_MICROS, 9)}, terms=USUAL) == set()


@given(want=wants, live=lives, terms=st.sampled_from(list(TERMS.values())))
def test_what_is_kept_is_at_most_twice_the_need_and_stays_as_it_is(
    want: Want, live: list[Live], terms: Terms
) -> None:
    held = dict(enumerate(live))

    spare = surplus(want, held, terms=terms)

    kept = {lease_id: lease for lease_id, lease in held.items() if lease_id not in spare}
    assert sum(lease.remaining for lease in kept.values()) <= 2 * target(want, terms)
    assert surplus(want, kept, terms=terms) == set()


@given(want=wants, live=lives)
def test_work_that_runs_never_loses_its_cover(want: Want, live: list[Live]) -> None:
    held = sum(lease.remaining for lease in live)

    assert is_enough(want, live, terms=USUAL) == (
        not want.hourly_micros or held >= target(want, USUAL)
    )

"""Every rule between entries, each broken once."""

from dataclasses import replace

import pytest

from protocol.refusal import LogRefused
from protocol.usage import COUNT_MAX, GPU_MS, Entry, Heartbeat, entry_bytes, read_entry
from registry.rating.price_book import PriceBook
from registry.usage.acceptance import Accepted, accept
from registry.usage.bounds import AHEAD_MS_MAX, PER_S_MAX, check_counts
from registry.usage.entries import read_entries
from registry.usage.log_state import LeaseStanding, Standing
from registry.usage.tally import Tally
from tests.registry.recording import (
    HOUR_MS,
    NOW_MS,
    OWNERS,
    PRICES,
    START_MS,
    closed,
    lease_closed,
    minutes,
    opened,
    time_use,
    tokens,
)

MINUTE_MS = 60_000
FIRST, SECOND = minutes(2, lease_id=1)
LEASES = {
    1: LeaseStanding("t_1", "n_1", amount=10**9, settled=0, state="open"),
    2: LeaseStanding("t_2", "n_1", amount=10**9, settled=0, state="open"),
    3: LeaseStanding("t_1", "n_2", amount=10**9, settled=0, state="open"),
    4: LeaseStanding("t_1", "n_1", amount=30_000, settled=0, state="open"),
    5: LeaseStanding("t_1", "n_1", amount=10**9, settled=0, state="released"),
}
REFUSED: list[tuple[str, list[Entry]]] = [
    ("owner_unknown", [replace(FIRST, allocation_id="a_other_node")]),
    ("owner_unknown", [replace(opened("a_1", "GPU-1"), allocation_id="a_other_node")]),
    ("tenant_wrong", [opened("a_1", "GPU-1"), replace(FIRST, tenant_id="t_2")]),
    ("tenant_wrong", [replace(opened("a_1", "GPU-1"), tenant_id="t_2")]),
    ("project_wrong", [opened("a_1", "GPU-1"), replace(FIRST, project_id="p_2")]),
    ("sku_wrong", [opened("a_1", "GPU-1"), replace(FIRST, sku="h200.2x")]),
    ("lease_unknown", [opened("a_1", "GPU-1"), replace(FIRST, lease_id=9)]),
    ("lease_unknown", [lease_closed(9)]),
    ("lease_tenant", [opened("a_1", "GPU-1"), replace(FIRST, lease_id=2)]),
    ("lease_tenant", [lease_closed(2, "t_1")]),
    ("lease_node", [opened("a_1", "GPU-1"), replace(FIRST, lease_id=3)]),
    ("use_unopened", [FIRST]),
    ("use_unopened", [opened("a_1", "GPU-1"), closed(at_ms=START_MS), FIRST]),
    ("cumulative_broken", [opened("a_1", "GPU-1"), FIRST, FIRST]),
    ("cumulative_broken", [opened("a_1", "GPU-1"), SECOND]),
    ("cumulative_broken", [tokens(5, before=0, lease_id=1), tokens(5, before=4, lease_id=1)]),
    (
        "interval_gap",
        [
            opened("a_1", "GPU-1"),
            FIRST,
            replace(SECOND, begin_ms=SECOND.begin_ms + 1, quantity=59_999, cumulative=119_999),
        ],
    ),
    ("interval_overlap", [opened("a_1", "GPU-1"), FIRST, replace(SECOND, begin_ms=START_MS)]),
    ("interval_before_open", [opened("a_1", "GPU-1", at_ms=START_MS + 1), FIRST]),
    ("over_capacity", [opened("a_1"), FIRST]),
    (
        "over_capacity",
        [opened("a_1", "GPU-1"), replace(FIRST, quantity=60_001, cumulative=60_001)],
    ),
    ("accelerator_count", [opened("a_1", "GPU-1", "GPU-2")]),
    ("opened_twice", [opened("a_1", "GPU-1"), opened("a_1", "GPU-2")]),
    (
        "opened_twice",
        [opened("a_1", "GPU-1"), closed(at_ms=START_MS + 5), opened("a_1", at_ms=START_MS + 4)],
    ),
    ("accelerator_sold_twice", [opened("a_1", "GPU-1"), opened("a_3", "GPU-1")]),
    (
        "accelerator_sold_twice",
        [
            opened("a_1", "GPU-1"),
            closed(at_ms=START_MS + 5),
            opened("a_3", "GPU-1", at_ms=START_MS + 4),
        ],
    ),
    ("closed_unopened", [closed(at_ms=START_MS)]),
    (
        "closed_unopened",
        [opened("a_1", "GPU-1"), closed(at_ms=START_MS + 1), closed(at_ms=START_MS + 2)],
    ),
    ("closed_before_use", [opened("a_1", "GPU-1"), FIRST, closed(at_ms=FIRST.end_ms - 1)]),
    ("closed_before_use", [opened("a_1", "GPU-1"), closed(at_ms=START_MS - 1)]),
    ("price_missing", [replace(tokens(5, before=0, lease_id=1), sku="unpriced")]),
    ("price_missing", [tokens(5, before=0, lease_id=1, at_ms=START_MS - 2 * 3_600_000)]),
    ("entry_future", [Heartbeat(at_ms=NOW_MS + AHEAD_MS_MAX + 1, boottime_ms=1, skew_ms=0)]),
    ("entry_future", [opened("a_1", "GPU-1", at_ms=NOW_MS + AHEAD_MS_MAX + 1)]),
    ("entry_future", [lease_closed(1, at_ms=NOW_MS + AHEAD_MS_MAX + 1)]),
    ("entry_future", [tokens(5, before=0, lease_id=1, at_ms=NOW_MS + AHEAD_MS_MAX)]),
]


@pytest.mark.parametrize(("code", "entries"), REFUSED)
def test_a_broken_rule_is_refused_by_name_and_place(code: str, entries: list[Entry]) -> None:
    with pytest.raises(LogRefused) as refused:
        _accept(entries, first_index=100)

    assert refused.value.code == code
    assert refused.value.index == 100 + len(entries) - 1


def test_an_allocation_is_opened_used_closed_and_opened_again() -> None:
    again_ms = START_MS + 10 * MINUTE_MS
    more = time_use(again_ms, again_ms + MINUTE_MS, before=120_000, lease_id=1)

    accepted, standing, tally = _accept(
        [
            opened("a_1", "GPU-1"),
            FIRST,
            SECOND,
            closed(at_ms=SECOND.end_ms),
            opened("a_3", "GPU-1", at_ms=SECOND.end_ms),
            closed("a_3", at_ms=again_ms),
            opened("a_1", "GPU-1", at_ms=again_ms),
            more,
        ]
    )

    stream = standing.streams["a_1", GPU_MS, "h200.1x"]
    assert (stream.cumulative, stream.first_index, stream.last_index) == (180_000, 1, 7)
    assert stream.charged == stream.rated == 180_000 * 2_500_000 // 3_600_000
    assert tally.tenants["t_1"].charged == stream.charged
    assert accepted.openings == {"a_1", "a_3"}
    assert standing.accelerators["GPU-1"].held_by == "a_1"


OPENED_AGAIN: list[Entry] = [
    opened("a_1", "GPU-1"),
    FIRST,
    closed(at_ms=FIRST.end_ms + 5),
    opened("a_1", "GPU-1", at_ms=FIRST.end_ms + 10),
]


def test_nothing_is_counted_between_two_openings() -> None:
    with pytest.raises(LogRefused, match="over_capacity"):
        _accept([*OPENED_AGAIN, replace(SECOND, quantity=59_991, cumulative=119_991)])

    _accept([*OPENED_AGAIN, replace(SECOND, quantity=59_990, cumulative=119_990)])
    nothing = replace(SECOND, end_ms=FIRST.end_ms + 10, quantity=0, cumulative=60_000)
    _, standing, _ = _accept([*OPENED_AGAIN, nothing])

    assert standing.streams["a_1", GPU_MS, "h200.1x"].end_ms == FIRST.end_ms + 10


def test_the_first_record_of_a_second_opening_may_not_begin_before_it() -> None:
    early = time_use(FIRST.end_ms + 9, FIRST.end_ms + 90, before=60_000, lease_id=1)

    with pytest.raises(LogRefused, match="interval_before_open"):
        _accept([*OPENED_AGAIN, early])


def test_usage_that_never_had_a_lease_is_ours() -> None:
    _, _, tally = _accept([opened("a_1", "GPU-1"), replace(FIRST, lease_id=0)])

    assert (tally.tenants["t_1"].charged, tally.tenants["t_1"].overrun) == (0, 41_666)
    assert tally.settled == {}


def test_what_a_lease_does_not_cover_is_ours() -> None:
    _, standing, tally = _accept(
        [opened("a_1", "GPU-1"), replace(FIRST, lease_id=4), replace(SECOND, lease_id=4)]
    )

    rated = 120_000 * 2_500_000 // 3_600_000
    tenant = tally.tenants["t_1"]
    assert (tenant.charged, tenant.overrun, tenant.late) == (30_000, rated - 30_000, 0)
    assert standing.leases[4].settled == 30_000


def test_a_lease_that_runs_out_covers_records_in_the_order_of_the_log() -> None:
    second_ms = START_MS + 1_000
    _, standing, tally = _accept(
        [
            opened("a_1", "GPU-1"),
            time_use(START_MS, second_ms, before=0, lease_id=4),
            tokens(9_000, before=0, lease_id=4, meter="req"),
            time_use(second_ms, START_MS + MINUTE_MS, before=1_000, lease_id=4),
        ]
    )

    assert tally.settled == {4: 30_000}
    assert standing.streams["k_1", "req", "demo-echo"].charged == 27_000
    assert standing.streams["a_1", GPU_MS, "h200.1x"].charged == 3_000


def test_usage_after_its_lease_closed_is_late() -> None:
    accepted, _, tally = _accept(
        [opened("a_1", "GPU-1"), FIRST, lease_closed(1), lease_closed(1), SECOND]
    )

    tenant = tally.tenants["t_1"]
    assert (tenant.charged, tenant.late) == (41_666, 83_333 - 41_666)
    assert list(accepted.leases_closed) == [1]


def test_usage_of_a_lease_that_was_given_back_is_late() -> None:
    _, _, tally = _accept([opened("a_1", "GPU-1"), replace(FIRST, lease_id=5)])

    assert (tally.tenants["t_1"].charged, tally.tenants["t_1"].late) == (0, 41_666)


@pytest.mark.parametrize(
    ("released_ms", "charged"), [(0, 0), (30_000, 20_833), (60_000, 41_666), (90_000, 62_500)]
)
def test_nothing_is_charged_from_the_release_on(released_ms: int, charged: int) -> None:
    _, _, tally = _accept(
        [opened("a_1", "GPU-1"), FIRST, SECOND], released_at_ms=START_MS + released_ms
    )

    tenant = tally.tenants["t_1"]
    assert (tenant.charged, tenant.late) == (charged, 83_333 - charged)


def test_a_release_cuts_the_very_record_in_which_it_came() -> None:
    nothing = replace(SECOND, quantity=0, cumulative=60_000)

    _, _, tally = _accept(
        [opened("a_1", "GPU-1"), FIRST, nothing], released_at_ms=START_MS + 30_000
    )

    assert tally.tenants["t_1"].charged == 20_833


def test_a_price_takes_effect_on_its_hour() -> None:
    edge = START_MS + 60 * MINUTE_MS
    before, after = (
        time_use(at, at + MINUTE_MS, before=(at - edge + MINUTE_MS), lease_id=1)
        for at in (edge - MINUTE_MS, edge)
    )

    _, standing, _ = _accept([opened("a_1", "GPU-1", at_ms=before.begin_ms), before, after])

    dearer = 120_000 * 3_100_000 // 3_600_000 - 60_000 * 3_100_000 // 3_600_000
    assert standing.streams["a_1", GPU_MS, "h200.1x"].rated == 41_666 + dearer


def test_tokens_of_one_minute_may_come_under_two_leases() -> None:
    _, _, tally = _accept([tokens(5, before=0, lease_id=1), tokens(7, before=5, lease_id=4)])

    assert tally.settled == {4: 1}


def test_a_heartbeat_changes_nothing() -> None:
    accepted, _, tally = _accept([Heartbeat(at_ms=START_MS, boottime_ms=1, skew_ms=-3)])

    assert accepted == Accepted()
    assert tally.tenants == {}


def test_attack_48_no_time_is_taken_from_before_the_launch() -> None:
    launched_ms = START_MS + AHEAD_MS_MAX

    _accept([opened("a_1", "GPU-1"), FIRST], since_ms=launched_ms)
    with pytest.raises(LogRefused) as refused:
        _accept([opened("a_1", "GPU-1")], since_ms=launched_ms + 1)

    assert refused.value.code == "opened_before_launch"


def test_attack_48_no_time_is_taken_again_in_a_new_epoch() -> None:
    _accept([opened("a_1", "GPU-1"), FIRST], counted_to_ms=START_MS)
    with pytest.raises(LogRefused) as refused:
        _accept([opened("a_1", "GPU-1")], counted_to_ms=START_MS + 1)

    assert refused.value.code == "interval_overlap"


def test_attack_47_a_record_of_more_than_any_node_could_do_is_refused() -> None:
    raw = entry_bytes(tokens(COUNT_MAX + 1, before=0, lease_id=1))

    for read in (lambda: read_entry(raw), lambda: read_entries([raw], first_index=0)):
        with pytest.raises(LogRefused) as refused:
            read()
        assert refused.value.code == "quantity_implausible"


def test_no_more_time_is_charged_than_went_by_since_the_launch() -> None:
    launched_ms = START_MS - 299_000
    uses = minutes(1, lease_id=1)

    _, _, tally = _accept(
        [opened("a_1", "GPU-1"), *uses],
        since_ms=launched_ms,
        known_to_ms=launched_ms + MINUTE_MS // 2,
    )
    _, _, full = _accept([opened("a_1", "GPU-1"), *uses])

    assert tally.tenants["t_1"].charged == full.tenants["t_1"].charged // 2
    assert tally.tenants["t_1"].late == full.tenants["t_1"].charged - tally.tenants["t_1"].charged


def test_accelerators_that_the_node_never_reported_cannot_be_opened() -> None:
    reported = frozenset({"GPU-1"})

    _accept([opened("a_1", "GPU-1")], reported=reported)
    with pytest.raises(LogRefused) as refused:
        _accept([opened("a_1", "GPU-2")], reported=reported)

    assert refused.value.code == "accelerator_unknown"


def test_calls_of_an_hour_before_its_lease_are_refused() -> None:
    use = tokens(5, before=0, lease_id=1)
    granted_ms = use.begin_ms - use.begin_ms % HOUR_MS + HOUR_MS + AHEAD_MS_MAX

    _accept([use], granted_at_ms=granted_ms)
    with pytest.raises(LogRefused) as refused:
        _accept([use], granted_at_ms=granted_ms + 1)

    assert refused.value.code == "lease_later"


@pytest.mark.parametrize("meter", sorted(PER_S_MAX))
def test_no_node_does_more_than_a_node_can_do(meter: str) -> None:
    most = PER_S_MAX[meter] * HOUR_MS // 1_000

    check_counts({(meter, 0): most - 5}, {(meter, 0): 5, (meter, HOUR_MS): most})
    with pytest.raises(LogRefused) as refused:
        check_counts({(meter, 0): most - 4}, {(meter, 0): 5})

    assert refused.value.code == "quantity_implausible"


def _accept(
    entries: list[Entry],
    *,
    first_index: int = 0,
    since_ms: int = 0,
    released_at_ms: int | None = None,
    counted_to_ms: int = 0,
    reported: frozenset[str] | None = None,
    known_to_ms: int | None = None,
    granted_at_ms: int = 0,
) -> tuple[Accepted, Standing, Tally]:
    owner = replace(
        OWNERS["a_1"],
        since_ms=since_ms,
        released_at_ms=released_at_ms,
        known_to_ms=known_to_ms,
        reported=reported,
    )
    standing = Standing(
        owners=OWNERS | {"a_1": owner},
        leases={at: replace(lease, granted_at_ms=granted_at_ms) for at, lease in LEASES.items()},
        counted_to_ms=counted_to_ms,
    )
    tally = Tally(PriceBook(PRICES), site_id="s_1", share_basis_points=7_000)
    accepted = accept(
        read_entries([entry_bytes(entry) for entry in entries], first_index=first_index),
        node_id="n_1",
        standing=standing,
        tally=tally,
        now_ms=NOW_MS,
    )
    return accepted, standing, tally

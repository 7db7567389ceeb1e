"""Sessions, corrections, losses, changed keys and new epochs: what each does, each rule broken."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.checkpoint import Checkpoint, log_origin, signed_checkpoint
from protocol.log_events import (
    EVERYTHING,
    Adjusted,
    EpochBegun,
    Gap,
    KeyChanged,
    Session,
    origin_parts,
)
from protocol.merkle import EMPTY_FRONTIER
from protocol.note import TYPE_ED25519, note_key_id, signed_line
from protocol.refusal import LogRefused, Refusal
from protocol.signing import public_bytes
from protocol.sync import LogBatch
from protocol.usage import GPU_MS, Entry, entry_bytes
from registry.ledger.operations import verify as verify_books
from registry.ledger.queries import get_balance
from registry.log_events.facts import EventFacts
from registry.log_events.operations import approve_adjustment
from registry.log_events.queries import list_keys, list_sessions
from registry.rating.price_book import PriceBook
from registry.usage.acceptance import Accepted, accept
from registry.usage.entries import read_entries
from registry.usage.log_state import LeaseStanding, Standing
from registry.usage.queries import cost_by_owner, find_latest_log
from registry.usage.tally import Tally
from tests.registry.recording import (
    DOMAIN,
    NODE_KEY,
    NOW_MS,
    OTHER_KEY,
    OWNERS,
    PRICES,
    START_MS,
    Desk,
    Recorder,
    closed,
    desk,
    minutes,
    node_with_lease,
    opened,
    time_use,
)
from tests.registry.verifying import check
from tests.services.databases import Databases

MINUTE_MS = 60_000
ORIGIN = log_origin(DOMAIN, "n_1", 0)
FIRST, SECOND = minutes(2, lease_id=1)
OPEN = opened("a_1", "GPU-1")
SESSION = Session(
    "a_1", "t_1", "p_1", "u_1", "terminal", "direct", START_MS, NOW_MS, 5, 6, "client_left"
)
ADJUSTED = Adjusted("a_1", "t_1", "p_1", "h200.1x", GPU_MS, -30_000, 1, "counted_twice", NOW_MS)
GAP = Gap("a_1", FIRST.end_ms, SECOND.end_ms, "disk_full")
PREDECESSOR = Checkpoint(ORIGIN, 7, bytes(32))


def changed_to(public_key: bytes) -> KeyChanged:
    return KeyChanged(
        note_key_id(ORIGIN, public_key, TYPE_ED25519).hex(),
        base64.b64encode(b"\x01" + public_key).decode(),
        START_MS,
    )


def epoch_begun(last: Checkpoint, *, epoch: int) -> EpochBegun:
    """The first entry of the log after `last`."""
    root = base64.b64encode(last.root).decode()
    return EpochBegun(epoch, origin_parts(last.origin), last.size, root, START_MS)


CHANGED = changed_to(public_bytes(OTHER_KEY))
AHEAD_MS = NOW_MS + 300_001
REFUSED: list[tuple[str, list[Entry]]] = [
    ("owner_unknown", [replace(SESSION, object_id="a_other_node")]),
    ("tenant_wrong", [replace(SESSION, tenant_id="t_2")]),
    ("project_wrong", [replace(SESSION, project_id="p_2")]),
    ("entry_future", [replace(SESSION, end_ms=AHEAD_MS)]),
    ("adjustment_unfounded", [OPEN, ADJUSTED]),
    ("adjustment_unfounded", [OPEN, FIRST, replace(ADJUSTED, reference=0)]),
    ("adjustment_unfounded", [OPEN, FIRST, replace(ADJUSTED, reference=2)]),
    ("adjustment_unfounded", [OPEN, FIRST, replace(ADJUSTED, meter="req")]),
    ("adjustment_unfounded", [OPEN, FIRST, replace(ADJUSTED, allocation_id="a_3")]),
    ("owner_unknown", [OPEN, FIRST, replace(ADJUSTED, allocation_id="a_other_node")]),
    ("tenant_wrong", [OPEN, FIRST, replace(ADJUSTED, tenant_id="t_2")]),
    ("adjustment_too_large", [OPEN, FIRST, replace(ADJUSTED, quantity=-60_001)]),
    ("adjustment_too_large", [OPEN, FIRST, ADJUSTED, replace(ADJUSTED, quantity=-30_001)]),
    ("adjustment_unapproved", [OPEN, FIRST, replace(ADJUSTED, quantity=1)]),
    ("gap_unopened", [GAP]),
    ("gap_unopened", [OPEN, FIRST, closed(at_ms=FIRST.end_ms), GAP]),
    ("interval_before_open", [OPEN, replace(GAP, begin_ms=START_MS - 1)]),
    ("interval_overlap", [OPEN, FIRST, replace(GAP, begin_ms=FIRST.end_ms - 1)]),
    ("interval_gap", [OPEN, FIRST, replace(GAP, begin_ms=FIRST.end_ms + 1)]),
    ("interval_overlap", [OPEN, FIRST, GAP, SECOND]),
    ("interval_overlap", [replace(GAP, allocation_id=EVERYTHING), OPEN]),
    ("entry_future", [OPEN, replace(GAP, end_ms=AHEAD_MS)]),
    ("key_unreadable", [replace(CHANGED, key_id="00000000")]),
    ("key_again", [changed_to(public_bytes(NODE_KEY))]),
    ("key_small_order", [changed_to(bytes([1, *bytes(31)]))]),
    ("epoch_wrong", [epoch_begun(PREDECESSOR, epoch=1)]),
]


@pytest.mark.parametrize(("code", "entries"), REFUSED)
def test_a_broken_rule_is_refused_by_name_and_place(code: str, entries: list[Entry]) -> None:
    with pytest.raises(LogRefused) as refused:
        _accept(entries)

    assert (refused.value.code, refused.value.index) == (code, len(entries) - 1)


def test_a_batch_ends_where_the_key_changes() -> None:
    with pytest.raises(LogRefused, match="key_not_last"):
        _accept([CHANGED, SESSION])

    assert _accept([SESSION, CHANGED])[0].public_key == public_bytes(OTHER_KEY)


def test_files_of_a_project_may_have_sessions_that_are_no_allocations() -> None:
    accepted, _, _ = _accept([replace(SESSION, object_id="weights", via="storage")])

    assert [index for index, _ in accepted.events] == [0]


def test_a_gap_moves_its_stream_on_with_nothing_counted() -> None:
    third = time_use(SECOND.end_ms, SECOND.end_ms + MINUTE_MS, before=60_000, lease_id=1)

    _, standing, tally = _accept([OPEN, FIRST, GAP, third])

    stream = standing.streams["a_1", GPU_MS, "h200.1x"]
    assert (stream.end_ms, stream.cumulative) == (third.end_ms, 120_000)
    assert tally.tenants["t_1"].charged == 120_000 * 2_500_000 // 3_600_000


def test_after_a_loss_of_everything_nothing_earlier_is_counted() -> None:
    lost = Gap(EVERYTHING, START_MS - MINUTE_MS, START_MS, "disk_lost")

    _accept([lost, OPEN, FIRST])
    with pytest.raises(LogRefused, match="interval_overlap"):
        _accept([replace(lost, end_ms=START_MS + 1), OPEN])


@given(st.integers(1, 60_000), st.integers(1, 60_000))
def test_a_correction_undoes_exactly_what_it_takes_away(first: int, second: int) -> None:
    taken = min(first + second, 60_000)
    adjustments: list[Entry] = [replace(ADJUSTED, quantity=-first)]
    if taken > first:
        adjustments.append(replace(ADJUSTED, quantity=first - taken))

    _, standing, tally = _accept([OPEN, FIRST, SECOND, *adjustments])

    stream = standing.streams["a_1", GPU_MS, "h200.1x"]
    price = PRICES[0]
    back = 60_000 * price.num // price.den - (60_000 - taken) * price.num // price.den
    assert stream.charged == stream.rated == 120_000 * price.num // price.den - back
    assert sum(given.charge.charged for given in tally.given_back) == -back
    assert sum(given.charge.share for given in tally.given_back) == (
        stream.shared - 83_333 * 7_000 // 10_000
    )
    (hour,) = tally.hours.values()
    assert (hour.quantity, hour.charged) == (120_000 - taken, stream.charged)


def test_no_more_comes_back_than_was_charged() -> None:
    uncovered = replace(FIRST, lease_id=4)

    _, standing, tally = _accept([OPEN, uncovered, replace(ADJUSTED, quantity=-60_000)])

    assert standing.streams["a_1", GPU_MS, "h200.1x"].charged == 0
    assert [given.charge.charged for given in tally.given_back] == [-30_000]


def test_a_correction_upwards_counts_only_if_it_was_approved_and_possible() -> None:
    half = replace(FIRST, quantity=30_000, cumulative=30_000)
    more = replace(ADJUSTED, quantity=30_000)
    approved = EventFacts(origin=ORIGIN, approved=frozenset({(1, 30_000), (1, 30_001)}))

    _, standing, tally = _accept([OPEN, half, more], events=approved)

    assert standing.streams["a_1", GPU_MS, "h200.1x"].charged == 41_666
    assert tally.tenants["t_1"].charged == 41_666
    with pytest.raises(LogRefused, match="over_capacity"):
        _accept([OPEN, half, replace(more, quantity=30_001)], events=approved)


def test_a_log_after_a_lost_one_begins_by_naming_it() -> None:
    facts = EventFacts(origin=log_origin(DOMAIN, "n_1", 1), epoch=1, predecessor=PREDECESSOR)
    begun = epoch_begun(PREDECESSOR, epoch=1)

    _accept([begun, OPEN], events=facts)

    for code, entries in (
        ("epoch_missing", [OPEN]),
        ("epoch_wrong", [replace(begun, size=8)]),
        ("epoch_wrong", [replace(begun, epoch=2)]),
        ("epoch_wrong", [replace(begun, origin_parts=("elsewhere",))]),
        ("epoch_wrong", [replace(begun, root="B" * 42 + "A=")]),
        ("epoch_wrong", [begun, begun]),
    ):
        with pytest.raises(LogRefused, match=code):
            _accept(entries, events=facts)


def test_a_correction_gives_back_and_the_books_follow_from_the_log(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(OPEN, *minutes(10, lease_id=1))
        here.take(node.batch())
        before = here.within(lambda db: get_balance(db, "t_1"))
        node.record(replace(ADJUSTED, quantity=-60_000))

        answer = here.take(node.batch(11))

        assert answer.problem is None
        after = here.within(lambda db: get_balance(db, "t_1"))
        assert after.wallet - before.wallet == 41_666
        assert here.within(lambda db: cost_by_owner(db, ["a_1"])) == {"a_1": 375_000}
        assert here.within(verify_books).problems == ()
        assert check(here).problems == ()
        assert here.take(node.batch(11)) == answer
        node.record(replace(ADJUSTED, quantity=-1))
        refused = here.take(node.batch(12)).problem
        assert refused is not None
        assert refused.code == "adjustment_too_large"


def test_an_approved_correction_is_taken_at_the_next_call(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        half = replace(FIRST, quantity=30_000, cumulative=30_000)
        node.record(OPEN, half, replace(ADJUSTED, quantity=30_000))
        refused = here.take(node.batch()).problem
        assert refused is not None
        assert refused.code == "adjustment_unapproved"
        _approve(here, 30_000)

        assert here.take(node.batch()).problem is None
        assert here.within(lambda db: cost_by_owner(db, ["a_1"])) == {"a_1": 41_666}
        assert check(here).problems == ()
        with pytest.raises(Refusal, match="approved_before"):
            _approve(here, 30_000)
        with pytest.raises(Refusal, match="adjustment_not_upwards"):
            _approve(here, -1)


def test_sessions_are_kept_for_their_tenant(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(SESSION)
        here.take(node.batch())

        kept = here.within(lambda db: list_sessions(db, "t_1"))

        assert [(row.index, row.session) for row in kept] == [(0, SESSION)]
        assert here.within(lambda db: list_sessions(db, "t_2")) == []


def test_another_key_signs_on_only_if_both_signed_the_change(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(OPEN, FIRST, CHANGED)
        alone = here.take(node.batch()).problem
        assert alone is not None
        assert alone.code == "key_unproven"

        both = here.take(_signed_by_both(node))

        assert (both.size, both.problem) == (3, None)
        node.record(SECOND)
        by_old = here.take(node.batch(3)).problem
        assert by_old is not None
        assert by_old.code == "checkpoint_signature"
        node.key = OTHER_KEY
        assert here.take(node.batch(3)).size == 4
        keys = here.within(lambda db: list_keys(db, "n_1", 0))
        assert [(key.from_size, key.public_key) for key in keys] == [
            (0, public_bytes(NODE_KEY)),
            (3, public_bytes(OTHER_KEY)),
        ]
        assert check(here).problems == ()


def test_an_unknown_kind_or_version_parks_the_log_by_name(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        for raw, code in (
            (b'{"k":"tea","t":5,"v":1}', "entry_unknown_kind"),
            (entry_bytes(OPEN).replace(b'"v":1', b'"v":2'), "entry_unknown_version"),
        ):
            strange = Recorder()
            strange.record(raw)

            problem = here.take(strange.batch()).problem

            assert problem is not None
            assert problem.code == code
            log = here.within(lambda db: find_latest_log(db, "n_1"))
            assert log is not None
            assert (log.state, log.problem_code, log.size) == ("parked", code, 0)
        assert here.take(node.batch()).problem is None


def _signed_by_both(node: Recorder) -> LogBatch:
    batch = node.batch()
    root = EMPTY_FRONTIER.extended(node.entries).root()
    checkpoint = Checkpoint(node.origin, len(node.entries), root)
    second = signed_line(checkpoint.text(), name=node.origin, key=OTHER_KEY)
    note = signed_checkpoint(checkpoint, NODE_KEY) + second
    return LogBatch(batch.epoch, batch.begin, batch.entries, note)


def _approve(here: Desk, quantity: int) -> None:
    here.within(
        lambda db: approve_adjustment(
            db, "n_1", 0, reference=1, quantity=quantity, by="operator", now_ms=NOW_MS
        )
    )


def _accept(
    entries: list[Entry], *, events: EventFacts | None = None
) -> tuple[Accepted, Standing, Tally]:
    leases = {
        1: LeaseStanding("t_1", "n_1", amount=10**9, settled=0, state="open"),
        4: LeaseStanding("t_1", "n_1", amount=30_000, settled=0, state="open"),
    }
    facts = events or EventFacts(origin=ORIGIN, keys=frozenset({public_bytes(NODE_KEY)}))
    facts.referenced = {at: entry for at, entry in enumerate(entries) if type(entry) is type(FIRST)}
    standing = Standing(owners=OWNERS, leases=leases, events=facts)
    tally = Tally(PriceBook(PRICES), site_id="s_1", share_basis_points=7_000)
    accepted = accept(
        read_entries([entry_bytes(entry) for entry in entries], first_index=0),
        node_id="n_1",
        standing=standing,
        tally=tally,
        now_ms=NOW_MS,
    )
    return accepted, standing, tally

"""When a kept card is charged, and when that stops."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.clock import DAY_MS, MINUTE_MS
from registry.auto_top_up.rule import DECLINES_MAX, GAP_MS, PER_DAY_MAX, Step, step
from registry.payments.checkout import State, TopUp

NOW = 100 * DAY_MS
LOW, ENOUGH = 9, 10


def test_a_low_balance_is_charged_and_one_that_suffices_is_not() -> None:
    assert _step([], balance=LOW) is Step.CHARGE
    assert _step([], balance=ENOUGH) is Step.NOTHING


@given(st.lists(st.sampled_from(State), max_size=30), st.integers(-5, 30))
def test_nothing_is_charged_while_one_is_on_its_way(states: list[State], balance: int) -> None:
    open_ones = [state for state in states if state in (State.CREATED, State.PENDING)]

    done = _step([_made(state, at) for at, state in enumerate(states)], balance=balance)

    assert not (open_ones and done is not Step.NOTHING)


def test_two_refusals_in_a_row_stop_it_even_when_the_balance_suffices() -> None:
    refused = [_made(State.FAILED, minutes) for minutes in (20, 40)]

    assert _step(refused[:1], balance=LOW) is Step.CHARGE
    assert _step(refused, balance=LOW) is Step.STOP
    assert _step(refused, balance=ENOUGH) is Step.STOP
    assert len(refused) == DECLINES_MAX
    paid_between = [refused[0], _made(State.SUCCEEDED, 30), refused[1]]
    assert _step(paid_between, balance=LOW) is Step.CHARGE


def test_what_was_refused_before_it_was_switched_on_does_not_count() -> None:
    refused = [_made(State.FAILED, minutes) for minutes in (20, 40)]

    assert _step(refused, balance=LOW, since_ms=NOW - MINUTE_MS) is Step.CHARGE


def test_payments_keep_a_gap_and_many_in_a_day_stop_it() -> None:
    just_now = [_made(State.SUCCEEDED, 0)]
    many = [_made(State.SUCCEEDED, minutes) for minutes in range(2, 2 + PER_DAY_MAX)]

    assert _step(just_now, balance=LOW) is Step.NOTHING
    assert GAP_MS <= MINUTE_MS
    assert _step(many, balance=LOW) is Step.STOP
    assert _step(many[1:], balance=LOW) is Step.CHARGE


def _step(recent: list[TopUp], *, balance: int, since_ms: int = 0) -> Step:
    done, why = step(recent, balance=balance, threshold=10, since_ms=since_ms, now_ms=NOW)
    assert bool(why) == (done is Step.STOP)
    return done


def _made(state: State, minutes_ago: int) -> TopUp:
    at_ms = NOW - minutes_ago * MINUTE_MS
    return TopUp(
        top_up_id=f"tu_{minutes_ago}",
        tenant_id="t_1",
        kind="auto",
        nonce="n",
        micros=1,
        state=state,
        asked_by="registry",
        receipt_email="",
        return_to="/",
        keep_card=False,
        created_at_ms=at_ms,
        checked_at_ms=at_ms,
        decline="insufficient_funds" if state is State.FAILED else "",
    )

"""What a site earns is held, matures and is paid in whole cents; nothing of it is ever lost."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from registry.ledger.account_names import is_below_zero
from registry.ledger.postings import off_balance, whole_cents
from registry.ledger.site_postings import clawback, maturity, payout, payout_returned

money = st.integers(1, 10**15)
balances = st.integers(0, 10**15)
cents = st.integers(1, 10**9).map(lambda count: count * 10_000)


@given(micros=balances)
def test_whole_cents_leave_less_than_a_cent(micros: int) -> None:
    assert whole_cents(micros) % 10_000 == 0
    assert 0 <= micros - whole_cents(micros) < 10_000


@given(micros=money, owed=balances)
def test_a_share_that_matures_first_pays_what_the_site_owes(micros: int, owed: int) -> None:
    journal = maturity(src="m", site_id="s_1", micros=micros, owed=owed, at_ms=1, memo="")

    legs = dict(journal.postings)
    assert off_balance(journal.postings) == 0
    assert legs["L:sitehold:s_1"] == micros
    assert -legs.get("A:siterecv:s_1", 0) == min(micros, owed)
    assert -legs.get("L:site:s_1", 0) == max(0, micros - owed)


@given(micros=cents)
def test_a_payout_that_failed_is_turned_exactly(micros: int) -> None:
    sent = payout(src="p", site_id="s_1", micros=micros, at_ms=1, memo="")

    returned = payout_returned(sent, src="undo:p", at_ms=2, memo="")

    assert dict(sent.postings) == {"L:site:s_1": micros, "A:stripe": -micros}
    assert dict(returned.postings) == {"L:site:s_1": -micros, "A:stripe": micros}
    assert returned.ref == "p"


@given(micros=money, payable=balances)
def test_a_clawback_takes_what_the_site_has_and_the_rest_is_owed(micros: int, payable: int) -> None:
    journal = clawback(src="c", site_id="s_1", micros=micros, payable=payable, at_ms=1, memo="")

    legs = dict(journal.postings)
    assert off_balance(journal.postings) == 0
    assert legs["X:siteshare"] == -micros
    assert legs.get("L:site:s_1", 0) == min(micros, payable)
    assert legs.get("A:siterecv:s_1", 0) == max(0, micros - payable)


@given(steps=st.lists(st.tuples(st.sampled_from("mpc"), money), max_size=20))
def test_no_order_of_maturing_payouts_and_clawbacks_leaves_less_than_nothing(
    steps: list[tuple[str, int]],
) -> None:
    sums: Counter[str] = Counter()
    for step, micros in steps:
        payable, owed = -sums["L:site:s_1"], sums["A:siterecv:s_1"]
        if step == "m":
            sums["L:sitehold:s_1"] -= micros
            sums["X:siteshare"] += micros
            journal = maturity(src="", site_id="s_1", micros=micros, owed=owed, at_ms=1, memo="")
        elif step == "p":
            if not whole_cents(payable):
                continue
            journal = payout(src="", site_id="s_1", micros=whole_cents(payable), at_ms=1, memo="")
        else:
            journal = clawback(
                src="", site_id="s_1", micros=micros, payable=payable, at_ms=1, memo=""
            )
        for account, moved in journal.postings:
            sums[account] += moved

        assert sum(sums.values()) == 0
        assert [name for name, left in sums.items() if is_below_zero(name, left)] == []
        assert not (sums["L:site:s_1"] and sums["A:siterecv:s_1"] and step == "m")

"""Journals balance whatever they are made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.ledger.account_names import is_below_zero, is_spendable, tenant_of
from registry.ledger.postings import (
    Journal,
    Purse,
    UsageCharge,
    correction,
    netting,
    off_balance,
    promo_expiry,
    promo_grant,
    site_share,
    top_up,
    usage,
    write_off,
)

money = st.integers(0, 10**15)
purses = st.builds(
    Purse,
    tenant_id=st.just("t_1"),
    promos=st.lists(money, max_size=3).map(
        lambda sums: tuple((f"L:promo:t_1:{at}", micros) for at, micros in enumerate(sums))
    ),
    wallet=money,
    credit=money,
)


@st.composite
def charges(draw: st.DrawFn) -> UsageCharge:
    charged, overrun, late = draw(money), draw(money), draw(money)
    gpu = draw(st.integers(0, charged + overrun + late))
    return UsageCharge(
        by_class={"gpu": gpu, "inference": charged + overrun + late - gpu},
        charged=charged,
        overrun=overrun,
        late=late,
        share=draw(st.integers(0, charged)),
        site_id="s_1",
    )


def test_a_top_up_moves_money_from_the_bank_to_the_wallet() -> None:
    journal = top_up(src="bank:7", tenant_id="t_1", micros=50_000_000, at_ms=5, memo="Transfer 7")

    assert journal.postings == (("A:bank", 50_000_000), ("L:wallet:t_1", -50_000_000))


def test_a_promo_is_our_expense() -> None:
    journal = promo_grant(src="p", tenant_id="t_1", grant="g1", micros=5, at_ms=5, memo="Welcome")

    assert journal.postings == (("X:promo", 5), ("L:promo:t_1:g1", -5))


def test_usage_takes_promo_first_then_wallet_then_credit_and_the_rest_is_ours() -> None:
    purse = Purse(
        tenant_id="t_1", promos=(("L:promo:t_1:a", 10), ("L:promo:t_1:b", 5)), wallet=20, credit=7
    )

    postings = dict(_usage(purse, charged=50).postings)

    assert postings == {
        "L:promo:t_1:a": 10,
        "L:promo:t_1:b": 5,
        "L:wallet:t_1": 20,
        "A:recv:t_1": 7,
        "X:overrun": 8,
        "I:usage:gpu": -50,
    }


def test_a_purse_below_zero_pays_nothing() -> None:
    purse = Purse(tenant_id="t_1", promos=(), wallet=-5, credit=-1)

    assert dict(_usage(purse, charged=3).postings) == {"X:overrun": 3, "I:usage:gpu": -3}


@given(purse=purses, charge=charges())
def test_usage_balances_and_takes_no_more_than_there_is(purse: Purse, charge: UsageCharge) -> None:
    journal = usage(src="log:1", at_ms=1, purse=purse, charge=charge)

    postings = dict(journal.postings)
    paid = sum(micros for account, micros in postings.items() if is_spendable(account))
    assert off_balance(journal.postings) == 0
    assert paid <= charge.charged
    assert paid + postings.get("X:overrun", 0) + postings.get("X:late", 0) == sum(
        charge.by_class.values()
    )
    assert postings.get("L:wallet:t_1", 0) <= purse.wallet
    assert postings.get("A:recv:t_1", 0) <= purse.credit


@given(purse=purses, charge=charges())
def test_a_correction_undoes_a_journal_exactly(purse: Purse, charge: UsageCharge) -> None:
    original = usage(src="log:1", at_ms=1, purse=purse, charge=charge)

    undone = correction(original, src="undo:log:1", at_ms=2, memo="Wrong price")

    sums = dict(original.postings)
    for account, micros in undone.postings:
        sums[account] += micros
    assert set(sums.values()) <= {0}
    assert undone.ref == "log:1"


def test_what_was_left_of_an_expired_grant_is_ours_again() -> None:
    journal = promo_expiry(src="e", tenant_id="t_1", grant="g1", micros=5, at_ms=9, memo="")

    assert journal.postings == (("L:promo:t_1:g1", 5), ("I:breakage", -5))


@given(wallet=st.integers(-(10**15), 10**15), owed=st.integers(-(10**15), 10**15))
def test_netting_leaves_a_wallet_or_a_debt_and_never_both(wallet: int, owed: int) -> None:
    journal = netting(src="n", tenant_id="t_1", wallet=wallet, owed=owed, at_ms=1)

    legs = dict(journal.postings) if journal else {}
    wallet_after = wallet - legs.get("L:wallet:t_1", 0)
    owed_after = owed + legs.get("A:recv:t_1", 0)
    assert sum(legs.values()) == 0
    assert wallet_after - owed_after == wallet - owed
    assert min(wallet_after, owed_after) == 0


@given(owed=st.integers(1, 10**15), part=st.integers(1, 10**15))
def test_a_debt_that_is_written_off_is_our_loss(owed: int, part: int) -> None:
    micros = min(owed, part)

    journal = write_off(src="w", tenant_id="t_1", micros=micros, owed=owed, at_ms=1, memo="")

    assert dict(journal.postings) == {"X:baddebt": micros, "A:recv:t_1": -micros}
    assert not is_below_zero("A:recv:t_1", owed - micros)


@given(cuts=st.lists(st.integers(0, 10**9), max_size=20), basis_points=st.integers(0, 10_000))
def test_cutting_charges_never_changes_a_site_s_share(cuts: list[int], basis_points: int) -> None:
    shared = charged = 0
    for micros in cuts:
        shared += site_share(basis_points, before=charged, after=charged + micros)
        charged += micros

    assert shared == site_share(basis_points, before=0, after=sum(cuts))


@pytest.mark.parametrize(
    ("name", "tenant", "spendable"),
    [
        ("L:wallet:t_1", "t_1", True),
        ("L:promo:t_1:g", "t_1", True),
        ("A:recv:t_1", "t_1", True),
        ("L:frozen:t_1", "t_1", False),
        ("A:bank", None, False),
        ("L:sitehold:s_1", None, False),
        ("L:tax:DE", None, False),
        ("A:dispute:dp_1", None, False),
    ],
)
def test_an_account_name_says_whose_it_is(name: str, tenant: str | None, spendable: bool) -> None:
    assert tenant_of(name) == tenant
    assert is_spendable(name) == spendable


def _usage(purse: Purse, *, charged: int) -> Journal:
    charge = UsageCharge(by_class={"gpu": charged}, charged=charged, overrun=0, late=0)
    return usage(src="log:1", at_ms=1, purse=purse, charge=charge)


@pytest.mark.parametrize(
    ("name", "balance", "below"),
    [
        ("L:wallet:t_1", 1, True),
        ("L:wallet:t_1", -1, False),
        ("A:siterecv:s_1", -1, True),
        ("A:siterecv:s_1", 0, False),
        ("A:stripe", -1, False),
        ("I:breakage", 5, False),
    ],
)
def test_what_is_held_for_somebody_is_never_less_than_nothing(
    name: str, balance: int, below: bool
) -> None:
    assert is_below_zero(name, balance) == below

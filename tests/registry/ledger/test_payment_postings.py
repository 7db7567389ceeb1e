"""What a payment provider does balances, and never takes from a tenant what it has not."""

from collections import Counter
from collections.abc import Iterable

from hypothesis import assume, given
from hypothesis import strategies as st

from registry.ledger.account_names import is_below_zero
from registry.ledger.payment_postings import (
    DisputeEnd,
    dispute_lost,
    dispute_opened,
    dispute_won,
    fee,
    frozen_by,
    refund,
    refund_failed,
    settlement,
)
from registry.ledger.postings import NO_TAX, Journal, Tax, off_balance, tax_within, top_up

CENT = 10_000

money = st.integers(1, 10**15)
balances = st.integers(0, 10**15)
rates = st.integers(0, 10_000)


def test_a_fee_is_our_expense_and_one_given_back_is_not() -> None:
    kept = fee(src="f", micros=300_000, at_ms=1, memo="Fee")
    returned = fee(src="g", micros=-300_000, at_ms=1, memo="Fee given back")

    assert kept.postings == (("X:fee", 300_000), ("A:stripe", -300_000))
    assert returned.postings == (("X:fee", -300_000), ("A:stripe", 300_000))


def test_a_settlement_moves_money_from_the_provider_to_the_bank() -> None:
    journal = settlement(src="po_1", micros=7, at_ms=1, memo="Payout to the bank")

    assert journal.postings == (("A:bank", 7), ("A:stripe", -7))


@given(micros=money, basis_points=rates)
def test_tax_is_in_the_payment_in_whole_cents_and_never_too_much(
    micros: int, basis_points: int
) -> None:
    tax = tax_within(micros, basis_points)

    net = micros - tax
    assert tax % CENT == 0
    assert tax * 10_000 <= net * basis_points
    assert (tax + CENT) * 10_000 > (net - CENT) * basis_points


def test_a_top_up_of_a_taxed_tenant_keeps_the_tax_apart() -> None:
    tax = Tax("DE", tax_within(119_000_000, 1_900))

    journal = top_up(
        src="pi_1", tenant_id="t_1", micros=119_000_000, at_ms=1, into="A:stripe", memo="", tax=tax
    )

    assert dict(journal.postings) == {
        "A:stripe": 119_000_000,
        "L:wallet:t_1": -100_000_000,
        "L:tax:DE": -19_000_000,
    }


@given(micros=money, wallet=balances, basis_points=rates)
def test_a_refund_takes_the_wallet_first_and_the_rest_is_owed(
    micros: int, wallet: int, basis_points: int
) -> None:
    tax = _tax(micros, basis_points)

    journal = refund(
        src="re_1", tenant_id="t_1", micros=micros, wallet=wallet, at_ms=1, memo="", tax=tax
    )

    legs = dict(journal.postings)
    assert off_balance(journal.postings) == 0
    assert legs["A:stripe"] == -micros
    assert legs.get("L:wallet:t_1", 0) == min(wallet, micros - tax.micros)
    assert legs.get("L:tax:DE", 0) == tax.micros
    assert legs.get("A:recv:t_1", 0) >= 0


@given(micros=money, wallet=balances)
def test_a_refund_that_failed_leaves_everything_as_it_was(micros: int, wallet: int) -> None:
    made = refund(src="re_1", tenant_id="t_1", micros=micros, wallet=wallet, at_ms=1, memo="")

    failed = refund_failed(made, src="re_1:failed", at_ms=2, memo="")

    assert not +_sums([made, failed])
    assert not -_sums([made, failed])
    assert failed.ref == "re_1"


@given(micros=money, wallet=balances, fee_micros=balances)
def test_a_dispute_freezes_what_is_there_and_no_more(
    micros: int, wallet: int, fee_micros: int
) -> None:
    opened = _opened(micros, wallet, fee_micros)

    legs = dict(opened.postings)
    assert off_balance(opened.postings) == 0
    assert legs["A:dispute:dp_1"] == micros
    assert legs["A:stripe"] == -micros - fee_micros
    assert legs.get("L:wallet:t_1", 0) == frozen_by(opened) == min(micros, wallet)


@given(micros=money, wallet=balances, fee_micros=balances)
def test_a_dispute_that_was_won_costs_the_tenant_nothing(
    micros: int, wallet: int, fee_micros: int
) -> None:
    opened = _opened(micros, wallet, fee_micros)
    end = DisputeEnd("dp_1", "t_1", micros, frozen_by(opened))

    won = dispute_won(end, src="dp_1:won", at_ms=2, memo="", fee_returned=fee_micros)

    assert {name for name, left in _sums([opened, won]).items() if left} == set()


@given(micros=money, wallet=balances, fee_micros=balances, basis_points=rates)
def test_a_dispute_that_was_lost_costs_the_tenant_the_payment_without_its_tax(
    micros: int, wallet: int, fee_micros: int, basis_points: int
) -> None:
    opened = _opened(micros, wallet, fee_micros)
    tax = _tax(micros, basis_points)
    end = DisputeEnd("dp_1", "t_1", micros, frozen_by(opened), tax)

    lost = dispute_lost(end, src="dp_1:lost", at_ms=2, memo="")

    sums = _sums([opened, lost])
    assert off_balance(lost.postings) == 0
    assert sums["A:dispute:dp_1"] == sums["L:frozen:t_1"] == 0
    assert sums["L:wallet:t_1"] + sums["A:recv:t_1"] == micros - tax.micros
    assert 0 <= sums["L:wallet:t_1"] <= wallet
    assert sums["A:recv:t_1"] == max(0, micros - tax.micros - wallet)
    assert sums["X:fee"] == fee_micros


@given(paid=money, spent=balances, micros=money, is_won=st.booleans(), basis_points=rates)
def test_no_order_of_payment_spending_and_dispute_leaves_less_than_nothing(
    paid: int, spent: int, micros: int, is_won: bool, basis_points: int
) -> None:
    assume(spent <= paid)
    assume(micros <= paid)
    tax = _tax(paid, basis_points)
    wallet = paid - tax.micros
    spent = min(spent, wallet)
    part = Tax(tax.jurisdiction, tax.micros * micros // paid)
    spending = Journal("u", "usage", 1, (("L:wallet:t_1", spent), ("I:usage:gpu", -spent)))
    journals = [
        top_up(src="pi", tenant_id="t_1", micros=paid, at_ms=1, into="A:stripe", memo="", tax=tax),
        spending,
    ]
    journals.append(_opened(micros, wallet - spent, 0))
    end = DisputeEnd("dp_1", "t_1", micros, frozen_by(journals[-1]), part)
    journals.append(
        dispute_won(end, src="w", at_ms=2, memo="")
        if is_won
        else dispute_lost(end, src="l", at_ms=2, memo="")
    )

    for many in range(1, len(journals) + 1):
        sums = _sums(journals[:many])
        assert sum(sums.values()) == 0
        assert [name for name, left in sums.items() if is_below_zero(name, left)] == []


def _opened(micros: int, wallet: int, fee_micros: int) -> Journal:
    return dispute_opened(
        src="dp_1",
        dispute_id="dp_1",
        tenant_id="t_1",
        micros=micros,
        fee_micros=fee_micros,
        wallet=wallet,
        at_ms=1,
        memo="",
    )


def _tax(micros: int, basis_points: int) -> Tax:
    tax = tax_within(micros, basis_points)
    return Tax("DE", tax) if tax else NO_TAX


def _sums(journals: Iterable[Journal]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for journal in journals:
        for account, micros in journal.postings:
            sums[account] += micros
    return sums

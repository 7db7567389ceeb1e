"""The tax in what goes back."""

from hypothesis import given
from hypothesis import strategies as st

from registry.ledger.postings import Tax
from registry.refunds.portions import tax_back


@given(
    micros=st.integers(2, 10**12),
    share=st.integers(0, 9_999),
    cuts=st.lists(st.integers(1, 10**6), min_size=1, max_size=8),
)
def test_the_tax_of_parts_adds_up_to_the_tax_of_the_whole(
    micros: int, share: int, cuts: list[int]
) -> None:
    tax = Tax("KE", micros * share // 10_000)
    ends = sorted({micros * cut // (10**6) for cut in cuts} | {micros})

    before, total = 0, 0
    for end in ends:
        back = tax_back(tax, whole=micros, before=before, micros=end - before)
        assert 0 <= back.micros <= end - before
        before, total = end, total + back.micros

    assert total == tax.micros

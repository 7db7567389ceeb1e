"""Which cards an allocation gets."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.accelerators.accelerator import Accelerator, Capability
from agent.accelerators.assignment import Request, assign
from protocol.refusal import Refusal

MODELS = ("NVIDIA H200", "NVIDIA L4")


@st.composite
def machines(draw: st.DrawFn) -> list[Accelerator]:
    """Up to eight cards in any order, of two models, some simulated, some cut into slices."""
    cards = [
        card(
            index,
            model=draw(st.sampled_from(MODELS)),
            simulated=draw(st.booleans()),
            mig_mode=draw(st.sampled_from([None, False, True])),
        )
        for index in range(draw(st.integers(0, 8)))
    ]
    return draw(st.permutations(cards))


uuid_sets = st.sets(st.integers(0, 9).map(lambda index: f"GPU-{index}"))
requests = st.builds(Request, st.integers(0, 4), st.sampled_from([None, *MODELS, "other"]))


@given(machines(), requests, uuid_sets, uuid_sets, st.booleans())
def test_only_free_suitable_cards_that_answer_are_handed_out(
    machine: list[Accelerator], request: Request, held: set[str], lost: set[str], demo: bool
) -> None:
    claims = dict.fromkeys(held, "a_other")
    by_uuid = {card.uuid: card for card in machine}

    if free_count(machine, request, held | lost, demo) < request.count:
        with pytest.raises(Refusal, match=r"accelerators_(taken|absent)"):
            assign(machine, request, claims=claims, lost=lost, demo=demo)
        return
    chosen = assign(machine, request, claims=claims, lost=lost, demo=demo)

    assert len(chosen) == len(set(chosen)) == request.count
    assert not set(chosen) & (held | lost)
    for uuid in chosen:
        assert request.model in (None, by_uuid[uuid].model)
        assert demo or not by_uuid[uuid].simulated
        assert not by_uuid[uuid].mig_mode


@given(machines(), requests, uuid_sets, st.randoms(use_true_random=False))
def test_the_order_in_which_cards_are_listed_changes_nothing(
    machine: list[Accelerator], request: Request, held: set[str], random: Random
) -> None:
    claims = dict.fromkeys(held, "a_other")
    shuffled = sorted(machine, key=lambda _: random.random())

    assert answer(machine, request, claims) == answer(shuffled, request, claims)


def test_the_lowest_indexes_go_first() -> None:
    machine = [card(2), card(0), card(1)]

    assert assign(machine, Request(2), claims={}, lost=(), demo=False) == ("GPU-0", "GPU-1")


def test_a_refusal_says_what_is_needed_and_what_is_free() -> None:
    machine = [card(index) for index in range(4)]

    with pytest.raises(Refusal) as refused:
        assign(
            machine,
            Request(2, "NVIDIA H200"),
            claims={"GPU-0": "a_1", "GPU-1": "a_1"},
            lost={"GPU-2"},
            demo=False,
        )

    assert refused.value.code == "accelerators_taken"
    assert refused.value.message == (
        "Needs 2 GPUs of model NVIDIA H200; 1 of 4 are free, 2 held by other allocations, 1 lost."
    )


def test_a_node_without_such_cards_says_so() -> None:
    with pytest.raises(Refusal) as refused:
        assign([card(0)], Request(1, "NVIDIA L4"), claims={}, lost=(), demo=False)

    assert refused.value.code == "accelerators_absent"


def test_simulated_cards_are_handed_out_in_demo_mode_only() -> None:
    machine = [card(0, simulated=True)]

    assert assign(machine, Request(1), claims={}, lost=(), demo=True) == ("GPU-0",)
    with pytest.raises(Refusal, match="accelerators_absent"):
        assign(machine, Request(1), claims={}, lost=(), demo=False)


def test_nothing_asked_is_nothing_given() -> None:
    assert assign([], Request(0), claims={}, lost=(), demo=False) == ()


def answer(
    machine: list[Accelerator], request: Request, claims: dict[str, str]
) -> tuple[str, ...] | str:
    try:
        return assign(machine, request, claims=claims, lost=(), demo=True)
    except Refusal as refusal:
        return refusal.message


def free_count(
    machine: list[Accelerator], request: Request, unavailable: set[str], demo: bool
) -> int:
    return sum(
        request.model in (None, card.model)
        and card.uuid not in unavailable
        and not card.mig_mode
        and (demo or not card.simulated)
        for card in machine
    )


def card(index: int, **changes: object) -> Accelerator:
    made = Accelerator(
        uuid=f"GPU-{index}",
        index=index,
        model="NVIDIA H200",
        memory_mib=144_384,
        driver_version="570",
        simulated=False,
        pci_bus_id="",
        minor_number=index,
        mig_mode=None,
        capabilities=Capability(0),
    )
    return replace(made, **changes)  # type: ignore[arg-type]

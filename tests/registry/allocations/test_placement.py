"""Placement: every rule refuses by name, and no choice ever breaks one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.allocations.placement import Candidate, NoCapacity, Wish, placed, why_not

DIGEST = "sha256:" + "a" * 64
WISH = Wish(model="H200", count=2, image_digest=DIGEST, power_w=700)
NODE = Candidate(
    node_id="n_1",
    node_name="nbo-1",
    site_id="s_1",
    site_name="Nairobi telecom",
    country="KE",
    in_contact=True,
    blocked_by=None,
    free=4,
    total=8,
    simulated=False,
    site_power_w=10_000,
    site_used_w=1_000,
)

wishes = st.builds(
    Wish,
    model=st.just("H200"),
    count=st.integers(1, 8),
    image_digest=st.just(DIGEST),
    country=st.sampled_from([None, "KE", "ZA"]),
    site_id=st.sampled_from([None, "s_1", "s_2"]),
    power_w=st.integers(0, 3_000),
    simulated=st.booleans(),
)
nodes = st.builds(
    Candidate,
    node_id=st.sampled_from([f"n_{at}" for at in range(8)]),
    node_name=st.just("node"),
    site_id=st.sampled_from(["s_1", "s_2"]),
    site_name=st.just("site"),
    country=st.sampled_from(["KE", "ZA"]),
    in_contact=st.booleans(),
    blocked_by=st.sampled_from([None, "disk_full"]),
    free=st.integers(0, 8),
    total=st.integers(0, 8),
    simulated=st.booleans(),
    site_power_w=st.sampled_from([0, 2_000, 10_000]),
    site_used_w=st.integers(0, 10_000),
    image_digests=st.sampled_from([frozenset(), frozenset({DIGEST})]),
)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"country": "ZA"}, "residency"),
        ({"total": 0, "free": 0}, "model"),
        ({"simulated": True}, "simulated"),
        ({"in_contact": False}, "contact"),
        ({"blocked_by": "disk_full"}, "health"),
        ({"free": 1}, "free"),
        ({"site_used_w": 9_500}, "power"),
        ({"site_id": "s_2"}, "site"),
    ],
)
def test_each_rule_refuses_by_name(change: dict[str, object], rule: str) -> None:
    wish = replace(WISH, country="KE", site_id="s_1")

    reason = why_not(wish, replace(NODE, **change))

    assert reason is not None
    assert reason.rule == rule


def test_a_refusal_says_what_was_needed_and_what_there_was() -> None:
    with pytest.raises(NoCapacity) as refused:
        placed(WISH, [replace(NODE, free=1)])

    (reason,) = refused.value.reasons
    assert (reason.need, reason.found) == ("2 free GPUs", "1 free GPU")
    assert "nbo-1 at Nairobi telecom needs 2 free GPUs, has 1 free GPU" in refused.value.message


def test_without_nodes_the_refusal_says_so() -> None:
    with pytest.raises(NoCapacity, match="No node is enrolled yet"):
        placed(WISH, [])


def test_a_node_with_the_image_wins_over_one_with_more_free() -> None:
    warm = replace(NODE, node_id="n_2", free=2, image_digests=frozenset({DIGEST}))

    assert placed(WISH, [NODE, warm]) is warm


@given(wish=wishes, candidates=st.lists(nodes, max_size=8))
def test_a_choice_never_breaks_a_rule(wish: Wish, candidates: list[Candidate]) -> None:
    try:
        node = placed(wish, candidates)
    except NoCapacity:
        return

    assert node.free >= wish.count
    assert node.in_contact
    assert node.blocked_by is None
    assert node.simulated == wish.simulated
    assert wish.country in (None, node.country)
    assert wish.site_id in (None, node.site_id)
    assert node.site_power_w == 0 or node.site_used_w + wish.power_w <= node.site_power_w


@given(wish=wishes, candidates=st.lists(nodes, max_size=8))
def test_nothing_is_placed_only_if_every_node_has_a_reason(
    wish: Wish, candidates: list[Candidate]
) -> None:
    reasons = [why_not(wish, node) for node in candidates]

    if None in reasons:
        assert why_not(wish, placed(wish, candidates)) is None
    else:
        with pytest.raises(NoCapacity) as refused:
            placed(wish, candidates)
        assert list(refused.value.reasons) == reasons


@given(wish=wishes, candidates=st.lists(nodes, max_size=6, unique_by=lambda node: node.node_id))
def test_the_order_of_the_nodes_does_not_matter(wish: Wish, candidates: list[Candidate]) -> None:
    try:
        forth = placed(wish, candidates)
    except NoCapacity:
        return

    assert placed(wish, reversed(candidates)) == forth

"""Reading the launch page, leniently and strictly."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from protocol.manifest import Manifest
from protocol.refusal import Refusal
from registry.allocations.launch_panel import (
    WELL_FORMED,
    choices,
    field_error,
    launch_page,
    page_form,
    read_launch,
    refused_fields,
    settled,
)
from registry.allocations.offers import Offer, OfferedApp, Survey
from registry.allocations.placement import Candidate

IMAGE = f"busybox@sha256:{'ab' * 32}"
APP = Manifest(image=f"echo@sha256:{'cd' * 32}", ports=(8000,), environment={"A": "1", "B": "2"})
OFFER = Offer("h100", "H100", "H100 80GB", 1, 8000, 65_536, 20_480, 700, False, 3_600_000, 2, 1, 4)
NODE = Candidate("n_1", "gpu01", "s_1", "nbo", "KE", True, None, 2, 4, False, 0, 0)
SURVEY = Survey(
    offers=(OFFER,),
    apps=(OfferedApp("echo", "Echo 1.0", APP),),
    places=(("country:KE", "Anywhere in Kenya"), ("site:s_1", "nbo, Nairobi")),
    available_micros=10_000_000,
    left_micros=10_000_000,
    burn=0,
    candidates={"H100 80GB": (NODE,)},
    may_launch=True,
)
TYPED = {"sku": "h100", "gpu_count": "2", "place": "site:s_1", "image": IMAGE, "name": "train"}


def test_what_was_typed_becomes_a_launch() -> None:
    form = read_launch(TYPED, {}, key="r_12345678")

    assert (form.sku_id, form.count, form.site_id, form.name) == ("h100", 2, "s_1", "train")


def test_an_app_keeps_its_ports_and_takes_what_was_typed_on_top() -> None:
    typed = {**TYPED, "image": "echo", "environment": "B=3\nC=4", "command": "serve --fast"}

    form = read_launch(typed, {"echo": APP}, key="r_12345678")

    assert form.manifest.ports == (8000,)
    assert form.manifest.environment == {"A": "1", "B": "3", "C": "4"}
    assert form.manifest.command == ("serve", "--fast")


@given(st.dictionaries(st.sampled_from(sorted(WELL_FORMED)), st.text(max_size=60)))
def test_any_form_is_read_refused_by_field_or_shown(typed: dict[str, str]) -> None:
    wrong = refused_fields(typed, {"echo": APP})
    page = launch_page(
        SURVEY,
        page_form(typed, SURVEY),
        key="r_12345678",
        errors=tuple(field_error(one) for one in wrong),
    )

    assert all(error.field in WELL_FORMED for error in page.form.errors)
    assert bool(wrong) == (_refusal(typed) is not None)


def test_the_review_adds_up_and_says_how_long_the_money_lasts() -> None:
    page = launch_page(SURVEY, TYPED, key="r_12345678")

    assert page.review.total_micros_per_hour == 7_200_000
    assert page.review.runway_ms == 10_000_000 * 3_600_000 // 7_200_000
    assert page.review.ready
    assert [check.tone for check in page.review.checks] == ["ok"] * 4


def test_the_review_names_the_rule_that_is_closest_to_holding() -> None:
    page = launch_page(SURVEY, {**TYPED, "gpu_count": "4"}, key="r_12345678")

    assert "nbo: too few GPUs are free" in page.review.checks[0].text
    assert not page.review.ready


def test_a_country_without_a_node_is_said_to_be_outside() -> None:
    page = launch_page(SURVEY, {**TYPED, "place": "country:ZA"}, key="r_12345678")

    assert "it lies outside the chosen country" in page.review.checks[0].text


def test_the_first_free_shape_is_chosen_beforehand() -> None:
    values = page_form({}, SURVEY)

    assert (values["sku"], values["gpu_count"], values["place"]) == ("h100", "1", "any")
    assert choices(values, SURVEY).offer == OFFER


L40S = replace(OFFER, sku_id="l40s", name="L40S", accelerator_model="L40S", hourly_micros=900_000)
FAR = replace(NODE, node_id="n_2", node_name="cpt01", site_id="s_2", site_name="cpt", country="ZA")


def with_two_shapes(h100_free: int, l40s_free: int) -> Survey:
    """The H100 at nbo, the L40S at cpt; so many of each are free."""
    return replace(
        SURVEY,
        offers=(replace(OFFER, free=h100_free), replace(L40S, free=l40s_free)),
        candidates={
            "H100 80GB": (replace(NODE, free=h100_free),),
            "L40S": (replace(FAR, free=l40s_free),),
        },
    )


def test_a_sold_out_shape_blocks_the_button_and_names_what_is_free_instead() -> None:
    review = launch_page(with_two_shapes(0, 2), TYPED, key="r_12345678").review

    assert review.blocked == "H100: none free now. Choose another shape."
    assert [one.value for one in review.alternatives] == ["l40s 2 any"]
    assert review.alternatives[0].micros_per_hour == 1_800_000


def test_where_nothing_is_free_at_all_that_is_said() -> None:
    survey = with_two_shapes(0, 0)

    assert "No shape is free" in launch_page(survey, TYPED, key="r_1").review.blocked
    assert (
        "No shape is free" in launch_page(survey, page_form({}, survey), key="r_1").review.blocked
    )


def test_fewer_of_the_same_shape_come_before_another_shape() -> None:
    typed = {**TYPED, "gpu_count": "4"}

    review = launch_page(with_two_shapes(2, 4), typed, key="r_12345678").review

    assert review.blocked == ""
    assert [one.value for one in review.alternatives] == ["h100 2 site:s_1", "l40s 4 any"]


def test_a_choice_that_can_be_had_has_no_alternatives() -> None:
    review = launch_page(with_two_shapes(2, 2), TYPED, key="r_12345678").review

    assert (review.blocked, review.alternatives) == ("", ())


@given(
    free=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    count=st.sampled_from([1, 2, 4, 8]),
    place=st.sampled_from(["any", "site:s_1", "site:s_2", "country:KE", "country:ZA"]),
)
def test_every_alternative_can_be_had_and_reads_back_as_what_it_says(
    free: tuple[int, int], count: int, place: str
) -> None:
    survey = with_two_shapes(*free)
    typed = {**TYPED, "gpu_count": str(count), "place": place}

    for one in launch_page(survey, typed, key="r_12345678").review.alternatives:
        taken = settled({**typed, "instead": one.value})
        assert launch_page(survey, taken, key="r_12345678").review.checks[0].tone == "ok"
        assert read_launch(taken, {}, key="r_12345678").name == "train"


def test_an_alternative_that_is_none_changes_nothing() -> None:
    assert settled({**TYPED, "instead": "h100"}) == TYPED
    assert settled(TYPED) == TYPED


def test_more_than_any_node_holds_is_not_offered() -> None:
    assert launch_page(SURVEY, TYPED, key="r_12345678").gpu_counts == (1, 2, 4)


def _refusal(typed: dict[str, str]) -> Refusal | None:
    """The refusal of the launch itself, if it is refused."""
    try:
        read_launch({"name": "x", **typed}, {"echo": APP}, key="r_12345678")
    except Refusal as refusal:
        return refusal
    return None


def test_without_a_shape_nothing_is_said_to_be_affordable() -> None:
    page = launch_page(SURVEY, {**TYPED, "sku": "sold-out"}, key="r_12345678")

    said = [(check.tone, check.text) for check in page.review.checks]
    assert ("warn", "Balance: choose a shape first") in said
    assert page.review.lines == ()
    assert not page.review.ready

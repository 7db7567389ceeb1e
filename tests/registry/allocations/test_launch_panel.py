"""Reading the launch page, leniently and strictly."""

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

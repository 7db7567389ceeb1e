"""Live parts: they keep focus, survive errors, stop when nobody looks, and say how old they are."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from playwright.sync_api import Page

from tests.web.preview import Site, environment, rendered
from tests.web.sample_nodes import NODES
from tests.web.sample_parts import NOW_MS
from tests.web.scenes import Scene

pytestmark = pytest.mark.browser

NewPage = Callable[..., Page]
PERIOD_MS = 5_000
PART = "registry/nodes/_rows.html"


def test_a_poll_changes_figures_and_keeps_focus_and_nodes(new_page: NewPage, site: Site) -> None:
    page = open_nodes(new_page, site)
    link = page.get_by_role("link", name="nbo-telecom-3-gpu01")
    link.focus()
    link.evaluate("node => { node.marked = true }")

    site.answers["/nodes"] = (200, part(today_micros=9_000_000), {"HX-PTag": "v2"})
    page.clock.run_for(PERIOD_MS)
    page.get_by_text("$9.00").wait_for()

    assert page.evaluate("document.activeElement.marked") is True


def test_the_tag_of_an_answer_is_sent_with_the_next_question(new_page: NewPage, site: Site) -> None:
    page = open_nodes(new_page, site)
    site.answers["/nodes"] = (200, part(today_micros=9_000_000), {"HX-PTag": "v2"})
    page.clock.run_for(PERIOD_MS)
    page.get_by_text("$9.00").wait_for()

    site.answers["/nodes"] = (304, "", {})
    with page.expect_response("**/nodes"):
        page.clock.run_for(PERIOD_MS)

    assert [tag for _, tag in site.asked] == ["", "v2"]
    assert page.get_by_text("$9.00").is_visible()


@pytest.mark.parametrize("status", [500, 503, 429, 404])
def test_an_error_keeps_the_rows_and_the_next_answer_heals(
    new_page: NewPage, site: Site, status: int
) -> None:
    page = open_nodes(new_page, site)
    site.answers["/nodes"] = (status, "<h1>broken</h1>", {})
    for _ in range(3):
        with page.expect_response("**/nodes"):
            page.clock.run_for(PERIOD_MS)

    page.locator("[data-fresh].late").wait_for()
    assert page.locator("[data-fresh]").inner_text().startswith("Data from ")
    assert page.locator("#node-rows tbody tr").count() == 24

    site.answers["/nodes"] = (200, part(today_micros=9_000_000), {})
    page.clock.run_for(PERIOD_MS)
    page.get_by_text("$9.00").wait_for()
    page.get_by_text("Updated").wait_for()


def test_a_lost_session_is_said_and_nothing_is_replaced(new_page: NewPage, site: Site) -> None:
    page = open_nodes(new_page, site)
    page.get_by_label("Filter nodes").last.fill("state:online")

    site.answers["/nodes"] = (401, "<h1>who are you</h1>", {})
    page.clock.run_for(PERIOD_MS)

    page.get_by_text("Signed out.").first.wait_for()
    assert page.get_by_label("Filter nodes").last.input_value() == "state:online"


def test_a_hidden_page_does_not_ask(new_page: NewPage, site: Site) -> None:
    page = open_nodes(new_page, site)
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true })")

    page.clock.run_for(PERIOD_MS * 6)

    assert site.asked == []


def test_a_page_nobody_touches_asks_once_a_minute(new_page: NewPage, site: Site) -> None:
    page = open_nodes(new_page, site)
    page.clock.fast_forward(6 * 60_000)
    site.asked.clear()

    for _ in range(24):
        page.clock.run_for(PERIOD_MS)

    assert 1 <= len(site.asked) <= 3


def test_rows_keep_their_order_under_the_pointer(new_page: NewPage, site: Site) -> None:
    page = open_nodes(new_page, site)
    page.locator("#node-n_2").hover()
    backwards = tuple(reversed(NODES.rows))

    site.answers["/nodes"] = (200, part(rows=backwards, today_micros=9_000_000), {})
    page.clock.run_for(PERIOD_MS)
    page.get_by_text("$9.00").wait_for()
    assert page.locator("#node-rows tbody tr").first.get_attribute("id") == "node-n_0"

    page.mouse.move(5, 5)
    site.answers["/nodes"] = (200, part(rows=backwards, today_micros=8_000_000), {})
    page.clock.run_for(PERIOD_MS)
    page.get_by_text("$8.00").wait_for()
    assert page.locator("#node-rows tbody tr").first.get_attribute("id") == "node-n_23"


def test_the_review_follows_the_choice_without_sending_secrets(
    new_page: NewPage, site: Site
) -> None:
    page = new_page()
    page.goto(f"{site.origin}/pages/launch")
    page.get_by_label("Environment").fill("TOKEN=secret")

    with page.expect_request("**/launch/review*") as asked:
        page.get_by_label("H100 80GB").check()

    assert "sku=h100" in asked.value.url
    assert "gpu_count=2" in asked.value.url
    assert "secret" not in asked.value.url
    assert "csrf" not in asked.value.url


def open_nodes(new_page: NewPage, site: Site) -> Page:
    page = new_page()
    page.clock.install(time=NOW_MS / 1000)
    page.goto(f"{site.origin}/pages/nodes")
    page.wait_for_function("globalThis.htmx && document.querySelector('[data-htmx-powered]')")
    return page


def part(**changes: object) -> str:
    page = replace(NODES, now_ms=NOW_MS + PERIOD_MS, **changes)  # type: ignore[arg-type]
    return rendered(environment(), Scene(PART, page))

"""Every page in Chromium: accessible, quiet under the strict policy, no wider than the window."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.web.preview import Site
from tests.web.scenes import scenes

pytestmark = pytest.mark.browser

NewPage = Callable[..., Page]
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPTIONS = {"runOnly": TAGS, "resultTypes": ["violations"], "preload": False}
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
NARROWEST = {"width": 320, "height": 640}
ALL = sorted(scenes())
ROUTES = sorted({scene.template: name for name, scene in reversed(scenes().items())}.values())


@pytest.mark.parametrize(
    ("theme", "window", "names"),
    [
        ("light", DESKTOP, ALL),
        ("dark", PHONE, ROUTES),
        ("dark", DESKTOP, ROUTES),
        ("light", PHONE, ROUTES),
    ],
    ids=["light-desktop", "dark-phone", "dark-desktop", "light-phone"],
)
def test_pages_have_no_accessibility_violation_and_no_console_error(
    new_page: NewPage, site: Site, theme: str, window: dict[str, int], names: list[str]
) -> None:
    page = new_page(color_scheme=theme, viewport=window, reduced_motion="reduce")
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    found = {}
    for name in names:
        page.goto(f"{site.origin}/pages/{name}")
        page.add_script_tag(url="/axe.js")
        result = page.evaluate("options => axe.run(document, options)", OPTIONS)
        if result["violations"]:
            found[name] = [
                (one["id"], one["nodes"][0]["html"][:160]) for one in result["violations"]
            ]

    assert found == {}
    assert complaints == []


def test_the_open_menu_and_the_open_dialog_are_accessible(new_page: NewPage, site: Site) -> None:
    page = new_page(viewport=PHONE, reduced_motion="reduce")
    page.goto(f"{site.origin}/pages/workload")
    page.add_script_tag(url="/axe.js")

    page.get_by_role("button", name="Menu").click()
    menu = page.evaluate("options => axe.run(document, options)", OPTIONS)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Release", exact=True).click()
    dialog = page.evaluate("options => axe.run(document, options)", OPTIONS)

    assert [one["id"] for one in menu["violations"] + dialog["violations"]] == []


@pytest.mark.parametrize(
    ("window", "scripts"),
    [(NARROWEST, True), (PHONE, False)],
    ids=["320", "390-no-scripts"],
)
def test_no_page_is_wider_than_its_window(
    new_page: NewPage, site: Site, window: dict[str, int], scripts: bool
) -> None:
    page = new_page(viewport=window, java_script_enabled=scripts)

    too_wide = {}
    for name in ALL:
        page.goto(f"{site.origin}/pages/{name}")
        box = page.locator("body").evaluate("() => document.documentElement.scrollWidth")
        if box > window["width"]:
            too_wide[name] = box

    assert too_wide == {}


def test_hostile_names_run_nothing(new_page: NewPage, site: Site) -> None:
    page = new_page()
    page.on("dialog", lambda _: pytest.fail("a dialog was opened"))

    for name in ("workloads-hostile", "workload-hostile", "search-none"):
        page.goto(f"{site.origin}/pages/{name}")
        page.wait_for_load_state("load")

        assert page.locator("img[src=x]").count() == 0


def test_without_scripts_menu_dialog_and_forms_work(new_page: NewPage, site: Site) -> None:
    page = new_page(java_script_enabled=False, viewport=PHONE)
    page.goto(f"{site.origin}/pages/workload")

    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Nodes").last.wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Release", exact=True).click()
    page.get_by_role("button", name="Release train-sw-llm").click()
    page.wait_for_url("**/release")

    assert site.asked[-1] == (
        "/workloads/a_018f6a2e7c9d4b/release",
        "csrf_token=csrf-token-of-this-session",
    )


def test_a_form_is_sent_once_and_its_button_says_what_is_done(
    new_page: NewPage, site: Site
) -> None:
    page = new_page()
    page.goto(f"{site.origin}/pages/launch")
    page.evaluate("document.addEventListener('submit', event => event.preventDefault())")

    page.get_by_role("button", name="Launch for $3.73 / h").click()

    button = page.locator("#launch-button")
    assert button.inner_text() == "Asking for a place …"
    assert button.get_attribute("aria-disabled") == "true"
    assert page.locator("#announce").inner_text() == "Asking for a place …"


def test_problems_of_a_form_take_the_focus_and_lead_to_their_fields(
    new_page: NewPage, site: Site
) -> None:
    page = new_page()
    page.goto(f"{site.origin}/pages/launch-refused")

    assert page.evaluate("document.activeElement.id") == "problems"
    page.get_by_role("link", name="Line 1 has no").click()
    assert page.evaluate("document.activeElement.id") == "f-environment"


def test_times_are_shown_in_the_readers_zone_and_theirs_on_hover(
    new_page: NewPage, site: Site
) -> None:
    page = new_page(timezone_id="Africa/Nairobi")
    page.goto(f"{site.origin}/pages/receipt")

    first = page.locator("time[data-as=second]").first
    assert first.inner_text() == "20 Nov 2026, 14:16:00"
    assert "GMT+3" in str(first.get_attribute("title"))
    assert page.locator("[data-zone]").inner_text() == "Africa/Nairobi"


def test_the_theme_is_chosen_kept_and_given_back_to_the_system(
    new_page: NewPage, site: Site
) -> None:
    page = new_page(color_scheme="light")
    page.goto(f"{site.origin}/pages/home")
    ground = "getComputedStyle(document.body).backgroundColor"

    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(ground) == "rgb(14, 17, 22)"
    assert [one["value"] for one in page.context.cookies()] == ["dark"]

    page.get_by_role("button", name="System").click()
    assert page.evaluate(ground) == "rgb(246, 247, 249)"
    assert page.context.cookies() == []


def test_a_chart_is_drawn_with_its_gap_and_reads_as_a_table(new_page: NewPage, site: Site) -> None:
    page = new_page()
    page.goto(f"{site.origin}/pages/home")

    page.locator(".plot canvas").wait_for()
    page.get_by_text("Show as table").click()

    rows = page.locator("#spend-table tbody tr")
    assert rows.count() == 30
    assert rows.nth(11).locator("td").first.inner_text() == "–"


def test_a_secret_is_copied_and_leaving_without_it_asks(new_page: NewPage, site: Site) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{site.origin}/pages/node-key-shown")

    page.get_by_role("button", name="Copy").first.click()

    page.get_by_text("Copied").first.wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "nk_7f3aQmZ0y1k9s8d7f6g5h4j3k2l1p0o9i8u7y6t5r4e"
    page.goto(f"{site.origin}/pages/home")
    assert page.title() == "Home · Outstation"


def test_single_keys_filter_list_and_go_unless_they_are_switched_off(
    new_page: NewPage, site: Site
) -> None:
    page = new_page(viewport=DESKTOP)
    page.goto(f"{site.origin}/pages/workloads")

    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "filter"
    page.keyboard.type("?gb")
    assert page.evaluate("document.activeElement.value").endswith("?gb")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard")
    assert keys.is_visible()
    page.add_script_tag(url="/axe.js")
    listed = page.evaluate("options => axe.run(document, options)", OPTIONS)
    assert [one["id"] for one in listed["violations"]] == []
    keys.get_by_label("Single keys act").uncheck()
    page.keyboard.press("Escape")

    page.keyboard.press("?")
    assert not keys.is_visible()
    page.reload()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") != "filter"
    page.get_by_role("button", name="Keyboard").click()
    keys.get_by_label("Single keys act").check()
    page.keyboard.press("Escape")
    for typed, path in (("gb", "/billing"), ("gw", "/workloads"), ("l", "/launch")):
        page.route(f"{site.origin}{path}", lambda route: route.fulfill(body="arrived"))
        page.goto(f"{site.origin}/pages/workloads")
        page.keyboard.type(typed)
        page.wait_for_url(f"{site.origin}{path}")


def test_on_a_phone_the_launch_button_and_the_ledgers_amounts_are_in_sight(
    new_page: NewPage, site: Site
) -> None:
    page = new_page(viewport=PHONE)

    page.goto(f"{site.origin}/pages/launch")
    button = page.locator("#launch-button").bounding_box()
    page.goto(f"{site.origin}/pages/ledger")
    amounts = page.locator("td.num.phone")
    boxes = [amounts.nth(at).bounding_box() for at in range(amounts.count())]

    assert button is not None
    assert button["y"] + button["height"] <= PHONE["height"]
    assert boxes
    assert all(box is not None and box["x"] + box["width"] <= PHONE["width"] for box in boxes)


def test_the_last_figure_of_a_strip_leaves_no_empty_cell(new_page: NewPage, site: Site) -> None:
    page = new_page(viewport=PHONE)
    page.goto(f"{site.origin}/pages/billing")

    strip, last = page.locator(".kpis").first, page.locator(".kpis").first.locator("> div").last
    outer, inner = strip.bounding_box(), last.bounding_box()

    assert outer is not None
    assert inner is not None
    assert inner["x"] + inner["width"] >= outer["x"] + outer["width"] - 2

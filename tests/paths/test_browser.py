"""The whole product in a browser: from the letter in the outbox to the verified receipt."""

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.paths.browsing import CODE, LINK, LIVE_MS, Browsing, found
from tests.paths.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.docker]

NewPage = Callable[..., Page]
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
PAGES = (
    "/",
    "/workloads",
    "/workloads?tab=attention",
    "/workloads?tab=history",
    "/launch",
    "/billing",
    "/billing/ledger",
    "/billing/add-funds",
    "/access/api-keys",
    "/nodes",
    "/nodes/new",
    "/nodes/keys",
    "/sites",
    "/sites/new",
    "/search?q=demo",
)


def test_a_workload_is_launched_watched_billed_and_proven(site: Site, new_page: NewPage) -> None:
    person = Browsing(site, new_page(color_scheme="light", viewport=DESKTOP))
    person.sign_in()

    person.fill_launch("first-run")
    expect(person.page.locator("#review")).to_contain_text("Image: pinned by digest")
    address = person.press_launch()
    person.page.evaluate("window.notReloaded = true")
    expect(person.state).to_contain_text("Charging $2.50 / h", timeout=LIVE_MS)
    assert person.page.title() == "first-run: Active"
    before = person.figure("Cost so far").inner_text()
    expect(person.figure("Cost so far")).not_to_have_text(before, timeout=LIVE_MS)
    assert person.page.evaluate("window.notReloaded")
    expect(person.page.get_by_role("row").filter(has_text="simulated")).to_have_count(1)

    person.press_release("first-run")
    expect(person.state).to_contain_text("Released", timeout=LIVE_MS)
    expect(person.state).to_contain_text("Not charging since")
    site.wait_until_billed()
    person.page.reload()
    billed = person.billed()
    assert 0 < billed == person.open_newest_receipt("first-run")
    expect(person.page.get_by_text("Verified", exact=True)).to_be_visible()

    for path in (*PAGES, address, node_page(site)):
        person.look_at(path)
    person.sign_out()
    assert not person.is_signed_in()
    assert person.complaints == []


def test_only_the_button_behind_the_link_signs_in_and_only_once(
    site: Site, new_page: NewPage
) -> None:
    person = Browsing(site, new_page())
    link = found(LINK, person.ask_for_a_letter())

    assert httpx.get(link, trust_env=False).status_code == 200
    person.page.goto(link)
    assert not person.is_signed_in()
    person.page.goto(link)
    person.press_sign_in()

    stranger = Browsing(site, new_page())
    stranger.page.goto(link)
    expect(stranger.page.get_by_role("alert")).to_contain_text("was used already")
    assert person.complaints == []


def test_the_code_signs_in_where_it_was_asked_for_and_every_page_fits_a_phone(
    site: Site, new_page: NewPage
) -> None:
    person = Browsing(site, new_page(color_scheme="dark", viewport=PHONE))

    code = found(CODE, person.ask_for_a_letter().partition("type this code")[2])
    person.page.get_by_label("6-digit code").fill(code)
    person.page.get_by_role("button", name="Sign in", exact=True).click()
    expect(person.page.get_by_role("heading", name="Home", exact=True)).to_be_visible()

    for path in (*PAGES, node_page(site)):
        person.look_at(path)


def test_all_of_it_works_without_scripts(site: Site, new_page: NewPage) -> None:
    person = Browsing(site, new_page(java_script_enabled=False, viewport=PHONE))
    person.sign_in()

    person.fill_launch("plain-forms")
    person.press_launch()
    person.reload_until("Active")
    person.press_release("plain-forms")
    person.reload_until("Released")
    site.wait_until_billed()
    person.open_newest_receipt("plain-forms")
    expect(person.page.get_by_text("Verified", exact=True)).to_be_visible()

    person.sign_out()
    assert not person.is_signed_in()


def test_a_refused_launch_keeps_what_was_typed_and_takes_the_focus(
    site: Site, new_page: NewPage
) -> None:
    person = Browsing(site, new_page())
    person.sign_in()
    person.fill_launch("refused")

    person.page.get_by_label("Container image").fill("busybox:latest")
    person.page.get_by_role("button", name=re.compile("^Launch for")).click()

    problems = person.page.get_by_role("alert")
    expect(problems).to_be_focused()
    problems.get_by_role("link", name=re.compile("by digest")).click()
    expect(person.page.get_by_label("Container image")).to_be_focused()
    assert person.page.get_by_label("Name (optional)").input_value() == "refused"


def node_page(site: Site) -> str:
    """The page of the site's node."""
    return f"/nodes/{site.setting.node_id}"

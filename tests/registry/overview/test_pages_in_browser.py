"""The customer's pages in Chromium, served by a real server over a market that has traded."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from protocol.clock import MINUTE_MS
from registry.server.session import SESSION_COOKIE
from tests.registry.marketplace import IMAGE, Customer, Marketplace, opened_market
from tests.registry.rig import HOST, running
from tests.services.databases import Databases
from web import STATIC

pytestmark = pytest.mark.browser

AXE = STATIC.parent / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPTIONS = {"runOnly": TAGS, "resultTypes": ["violations"], "preload": False}
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1440, "height": 900}
TABS_MAX = 60

NewPage = Callable[..., Page]


@dataclass
class Served:
    """A market on a loopback server, and the pages of its customer."""

    origin: str
    market: Marketplace
    ana: Customer
    allocation_id: str

    def open(self, page: Page, path: str) -> None:
        page.goto(self.origin + path)

    def paths(self) -> tuple[str, ...]:
        log = f"registry.example/log/{self.market.node_id}/0"
        return (
            "/",
            "/workloads",
            "/workloads?tab=history",
            f"/workloads/{self.allocation_id}",
            "/launch",
            "/billing",
            "/billing/ledger",
            f"/billing/receipts/{log}/3",
            "/billing/add-funds",
            "/search?q=train",
        )


@pytest.fixture(scope="module")
def served(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A customer with one workload that runs, is billed, and nearly out of money."""
    databases = Databases(run_folder, None)
    folder = tmp_path_factory.mktemp("served")
    with running(databases, folder, demo=True, trusted_hosts=("127.0.0.1",)) as rig:
        market = opened_market(rig, cards=4)
        ana = market.customer(micros=80_000_000)
        made = ana.launched()
        market.runs(made)
        market.uses(made, 5)
        server = make_server("127.0.0.1", 0, rig.app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Served(f"http://127.0.0.1:{server.server_port}", market, ana, made)
        server.shutdown()
        thread.join()
        server.server_close()
    databases.drop_all()


@pytest.fixture
def signed_in(new_page: NewPage, served: Served) -> NewPage:
    """Pages of a browser in which the customer is signed in."""

    def make(**settings: object) -> Page:
        page = new_page(reduced_motion="reduce", **settings)
        cookie = served.ana.browser.client.get_cookie(SESSION_COOKIE, domain=HOST)
        assert cookie is not None
        page.context.add_cookies(
            [
                {
                    "name": SESSION_COOKIE,
                    "value": cookie.value,
                    "domain": "127.0.0.1",
                    "path": "/",
                    "secure": True,
                    "httpOnly": True,
                }
            ]
        )
        return page

    return make


def test_a_launch_needs_nothing_but_the_keyboard(signed_in: NewPage, served: Served) -> None:
    page = signed_in(viewport=DESKTOP)
    served.open(page, "/launch")

    _tab_to(page, "[name=gpu_count]")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#launch-button")).to_contain_text("$7.20")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#launch-button")).to_contain_text("$3.60")
    _tab_to(page, "#f-image")
    page.keyboard.type(IMAGE)
    _tab_to(page, "#f-name")
    page.keyboard.type("by-keyboard")
    _tab_to(page, "#launch-button")
    page.keyboard.press("Enter")

    page.wait_for_url("**/workloads/a_*")
    expect(page.get_by_role("heading", level=1)).to_have_text("by-keyboard")
    expect(page.locator("#workload")).to_contain_text("Provisioning")


def test_a_refused_launch_leads_to_its_first_wrong_field(
    signed_in: NewPage, served: Served
) -> None:
    page = signed_in(viewport=DESKTOP)
    served.open(page, "/launch")
    page.locator("#f-image").fill("busybox")
    page.locator("#f-name").fill("Not A Name")

    page.locator("#launch-button").click()

    expect(page.locator("#problems")).to_be_focused()
    expect(page.locator("#f-name")).to_have_value("Not A Name")
    page.locator("#problems a").first.click()
    expect(page.locator("#f-name, #f-image").and_(page.locator(":focus"))).to_have_count(1)


def test_a_workload_that_ends_changes_on_the_open_page(signed_in: NewPage, served: Served) -> None:
    made = served.ana.launched(name="watched")
    page = signed_in(viewport=DESKTOP)
    served.open(page, f"/workloads/{made}")

    served.market.runs(made)
    expect(page.locator("#workload")).to_contain_text("Charging", timeout=8_000)
    page.get_by_role("button", name="Release", exact=True).click()
    page.get_by_role("button", name="Release watched").click()
    expect(page.locator("#workload")).to_contain_text("Not charging since")
    served.market.rig.clock.forward(1_000)
    served.market.node_says(made, "absent")

    expect(page.locator("#state-title")).to_contain_text("Released", timeout=8_000)


@pytest.mark.parametrize(
    ("theme", "window"),
    [("dark", PHONE), ("light", DESKTOP)],
    ids=["dark-390", "light-1440"],
)
def test_every_page_is_accessible_fits_and_is_quiet(
    signed_in: NewPage, served: Served, theme: str, window: dict[str, int]
) -> None:
    page = signed_in(color_scheme=theme, viewport=window)
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    found = {}
    for path in served.paths():
        served.open(page, path)
        page.evaluate(AXE.read_text())
        result = page.evaluate("options => axe.run(document, options)", OPTIONS)
        wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        if result["violations"] or wide:
            found[path] = [
                (one["id"], one["nodes"][0]["html"][:160]) for one in result["violations"]
            ] + (["too wide"] if wide else [])

    assert found == {}
    assert complaints == []


def test_a_low_balance_and_a_silent_node_are_said_without_scrolling(
    signed_in: NewPage, served: Served
) -> None:
    page = signed_in(viewport=PHONE)
    served.market.rig.clock.forward(2 * MINUTE_MS)
    served.open(page, "/")

    expect(page.locator(".banner.warning")).to_be_in_viewport()
    expect(page.locator(".banner.warning")).to_contain_text("Balance low")
    expect(page.get_by_text("is silent. It keeps running there").first).to_be_visible()
    served.market.online()


def _tab_to(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
    raise AssertionError(f"{selector} is not reached by Tab")

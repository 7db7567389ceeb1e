"""A payment in Chromium: from an empty balance over the hosted page to one without a banner."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from registry.ledger.operations import add_funds, post
from registry.ledger.postings import Journal
from registry.server.session import SESSION_COOKIE
from registry.settlement.cards import EXTENSION, Addresses, Cards
from registry.tenants.queries import list_tenants
from tests.registry.rig import HOST, SetClock
from tests.registry.till import Till, running_till
from tests.services.databases import Databases

pytestmark = pytest.mark.browser

CREDITED_S_MAX = 5
DESKTOP = {"width": 1280, "height": 900}


class WallClock(SetClock):
    """The time as it goes by."""

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000


@dataclass
class Served:
    """A till on a loopback server, and a browser of somebody whose balance is used up."""

    origin: str
    till: Till
    page: Page
    complaints: list[str]

    def begin_paying(self) -> None:
        """Follow the banner to the form, and the form to the hosted page."""
        self.page.goto(f"{self.origin}/billing")
        expect(self.page.locator(".banner.depleted")).to_be_visible()
        self.page.locator(".banner.depleted").get_by_role("link", name="Add funds").click()
        self.page.get_by_text("$50", exact=True).click()
        self.page.get_by_role("button", name="Pay").click()
        expect(self.page.get_by_role("heading", name="Pay $50.00")).to_be_visible()


@pytest.fixture
def served(run_folder: Path, tmp_path: Path, new_page: Callable[..., Page]) -> Iterator[Served]:
    databases = Databases(run_folder, None)
    with running_till(databases, tmp_path, clock=WallClock(), trusted_hosts=("127.0.0.1",)) as till:
        browser = till.rig.member()
        _use_up(till)
        server = make_server("127.0.0.1", 0, till.rig.app, threaded=True)
        origin = f"http://127.0.0.1:{server.server_port}"
        cards = till.rig.app.extensions[EXTENSION]
        assert isinstance(cards, Cards)
        till.rig.app.extensions[EXTENSION] = replace(cards, addresses=Addresses(origin))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        page = new_page(viewport=DESKTOP)
        cookie = browser.client.get_cookie(SESSION_COOKIE, domain=HOST)
        assert cookie is not None
        where = {"domain": "127.0.0.1", "path": "/", "secure": True, "httpOnly": True}
        page.context.add_cookies([{"name": SESSION_COOKIE, "value": cookie.value, **where}])  # type: ignore[list-item]
        complaints: list[str] = []
        page.on(
            "console", lambda line: complaints.append(line.text) if line.type == "error" else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield Served(origin, till, page, complaints)
        server.shutdown()
        thread.join()
        server.server_close()
    databases.drop_all()


def test_fifty_dollars_are_credited_and_the_banner_is_gone_within_seconds(served: Served) -> None:
    served.begin_paying()

    pressed_at = time.monotonic()
    served.page.get_by_role("button", name="Pay with 4242").click()
    expect(served.page.get_by_text("$50.00 is credited.")).to_be_visible(timeout=10_000)
    expect(served.page.locator(".banner.depleted")).to_have_count(0)
    took_s = time.monotonic() - pressed_at

    expect(served.page.get_by_text("Credited, ledger entry")).to_be_visible()
    assert took_s < CREDITED_S_MAX
    assert served.till.at_stripe() == served.till.stripe.account.balance_cents * 10_000
    assert served.complaints == []


def test_a_delayed_payment_clears_on_the_open_page(served: Served) -> None:
    served.begin_paying()
    served.page.get_by_role("button", name="Pay with 6789").click()
    expect(served.page.get_by_text("$50.00 is on its way.")).to_be_visible()
    expect(served.page.locator(".banner.depleted")).to_be_visible()

    (intent,) = served.till.stripe.account.of_kind("payment_intent")
    served.till.stripe.account.clear(intent["id"], succeeds=True)

    expect(served.page.get_by_text("$50.00 is credited.")).to_be_visible(timeout=10_000)
    expect(served.page.locator(".banner.depleted")).to_have_count(0)
    assert served.complaints == []


def test_whoever_goes_back_without_paying_may_go_on(served: Served) -> None:
    served.begin_paying()
    served.page.get_by_role("button", name="Back").click()
    expect(served.page.get_by_text("You came back without paying.")).to_be_visible()

    served.page.get_by_role("link", name="Back to the payment page").click()
    served.page.get_by_role("button", name="Pay with 0002").click()
    expect(served.page.get_by_role("heading", name="Pay $50.00")).to_be_visible()
    served.page.get_by_role("button", name="Pay with 4242").click()

    expect(served.page.get_by_text("$50.00 is credited.")).to_be_visible(timeout=10_000)
    assert len(served.till.top_ups()) == 1
    assert served.complaints == []


def _use_up(till: Till) -> None:
    """Have the organization spend what it had."""
    with till.rig.database.unit() as db:
        (tenant,) = list_tenants(db)
        now_ms = till.rig.clock()
        micros = 5_000_000
        add_funds(db, tenant.tenant_id, src="bank:1", micros=micros, memo="Bank", now_ms=now_ms)
        legs = ((f"L:wallet:{tenant.tenant_id}", micros), ("I:usage:gpu", -micros))
        post(db, Journal("log:used", "usage", now_ms, legs, memo="Usage"))

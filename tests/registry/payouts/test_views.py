"""A site's owner sees what it earned, every sum with the usage behind it, and no customer."""

import json
import re

import pytest

from protocol.clock import MINUTE_MS
from registry.adjustments.operations import mature_shares, reverse
from registry.adjustments.shares import DISPUTE_WINDOW_MS
from registry.ledger.queries import get_account, list_journals
from registry.payouts.months import month_of
from registry.payouts.operations import set_destination
from registry.payouts.queries import Destination
from registry.payouts.views import EXTENSION, EarningsTerms
from registry.tenants.roles import console
from tests.registry.marketplace import Marketplace
from tests.registry.rig import ADMIN, Rig

HOUR_MS = 3_600_000
SHARE = 2_520_000
"""Seventy per cent of an hour of 3.60."""


@pytest.fixture
def sold(market: Marketplace) -> Marketplace:
    """A customer used an hour of the site's node."""
    market.rig.app.extensions[EXTENSION] = EarningsTerms(7_000)
    customer = market.customer()
    allocation_id = customer.launched(name="secret-project-x")
    market.runs(allocation_id)
    market.uses(allocation_id, 60)
    return market


def test_the_month_is_answered_in_one_sentence(sold: Marketplace) -> None:
    page = sold.host.get("/site-owner").text

    assert re.search(r"so far: 1\xa0GPU hour sold \(\d+ %\), your share \$2\.52\.", page)
    assert "forecast" in page


def test_every_sum_on_the_page_is_the_ledger_s(sold: Marketplace) -> None:
    page = sold.host.get("/site-owner").text
    with sold.rig.database.reading() as db:
        held = -get_account(db, f"L:sitehold:{sold.site_id}")

    assert held == SHARE
    for sum_ in ("$3.60", "\u2212$1.08", "$2.52"):
        assert sum_ in page


def test_a_sum_opens_the_usage_behind_it_by_day_and_hour(sold: Marketplace) -> None:
    page = sold.host.get("/site-owner").text
    link = re.search(rf'href="(/site-owner/usage[^"]*node={sold.node_id})"', page)
    assert link is not None

    days = sold.host.get(link.group(1).replace("&amp;", "&"))
    day = re.search(r'href="(/site-owner/usage[^"]*day=\d+[^"]*)"', days.text)
    assert day is not None
    hours = sold.host.get(day.group(1).replace("&amp;", "&"))

    assert days.status_code == hours.status_code == 200
    for text in (days.text, hours.text):
        assert "1 h GPU time" in text or "min GPU time" in text
        assert "your share $2.52" in text


def test_no_page_and_no_file_names_a_customer_or_its_work(sold: Marketplace) -> None:
    month = month_of(sold.rig.clock())
    at = f"site={sold.site_id}&month={month}"
    pages = [
        sold.host.get("/site-owner").text,
        sold.host.get(f"/site-owner/usage?{at}").text,
        sold.host.get(f"/site-owner/statement?{at}").text,
        sold.host.get(f"/site-owner/statement?{at}&as=json").text,
    ]

    for page in pages:
        assert "umoja" not in page.lower()
        assert "secret-project-x" not in page
        assert not re.search(r"\b[tak]_[0-9a-z]{29}\b", page.replace(_own(sold), ""))


def test_what_simulated_gpus_earned_says_so_on_every_page_and_in_every_file(
    sold: Marketplace,
) -> None:
    at = f"site={sold.site_id}"
    answers = [
        sold.host.get("/site-owner"),
        sold.host.get(f"/site-owner/usage?{at}"),
        sold.host.get(f"/site-owner/statement?{at}"),
        sold.host.get(f"/site-owner/statement?{at}&as=json"),
    ]

    assert all("simulated" in answer.text for answer in answers)


def test_the_statement_s_rows_add_up_to_its_sums(sold: Marketplace) -> None:
    at = f"site={sold.site_id}&month={month_of(sold.rig.clock())}"
    answer = sold.host.get(f"/site-owner/statement?{at}&as=json")
    statement = json.loads(answer.text)
    lines = sold.host.get(f"/site-owner/statement?{at}").text.splitlines()

    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert statement["share_micros"] == SHARE
    assert sum(row["share_micros"] for row in statement["usage"]) == SHARE
    assert sum(int(line.rsplit(",", 1)[1]) for line in lines[1:]) == SHARE
    assert statement["gpu_ms"] == 60 * MINUTE_MS


def test_what_matured_can_be_paid_out_and_a_correction_is_a_step_of_its_own(
    sold: Marketplace,
) -> None:
    rig = sold.rig
    with rig.database.unit() as db:
        set_destination(
            db, sold.site_id, Destination("bank", "Umoja Bank 12"), senders=("bank",),
            actor=console(), now_ms=rig.clock(),
        )  # fmt: skip
        usage = [one for _, one in list_journals(db) if one.kind == "usage"]
        reverse(db, usage[0].src, memo="Wrong", actor=console(), now_ms=rig.clock())

    page = sold.host.get("/site-owner").text

    assert "Set right" in page
    assert "Umoja Bank 12 (bank)" in page
    with rig.database.reading() as db:
        assert get_account(db, f"L:sitehold:{sold.site_id}") == 0


def test_held_becomes_payable_when_its_window_is_over(sold: Marketplace) -> None:
    later_ms = sold.rig.clock() + DISPUTE_WINDOW_MS + 2 * HOUR_MS
    with sold.rig.database.unit() as db:
        assert mature_shares(db, now_ms=later_ms) == 1

    page = sold.host.get("/site-owner").text

    assert re.search(r"<dt>Held</dt><dd>\$0\.00", page)
    assert re.search(r"<dt>Can be paid out</dt><dd>\$2\.52", page)


def test_an_empty_month_says_so_and_offers_a_forecast(market: Marketplace) -> None:
    page = market.host.get("/site-owner?month=2026-01").text

    assert "Nothing was sold here in January 2026." in page
    assert "730 h × 50 %" in page


def test_a_what_if_is_worked_out_before_the_reader_s_eyes(market: Marketplace) -> None:
    market.rig.app.extensions[EXTENSION] = EarningsTerms(7_000)

    page = market.host.get("/site-owner?price=2.00&sold=100&tariff=0.10").text

    assert "2\xa0GPUs × 730 h × 100 % = 1,460 GPU hours" in page
    assert "1,460 × $2.00 = $2,920.00 charged" in page
    assert "70 % of it = $2,044.00, your share" in page
    assert "1,168 × $0.10 = $116.80 for power" in page
    assert "$1,927.20" in page


@pytest.mark.parametrize("query", ["price=many", "sold=101", "tariff=-1", "sold=½"])
def test_a_what_if_that_cannot_be_read_says_which_field(market: Marketplace, query: str) -> None:
    page = market.host.get(f"/site-owner?{query}").text

    assert "field needs to be put right" in page.replace("\xa0", " ")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/site-owner?month=2026-13", 400),
        ("/site-owner?site=s_unknown", 404),
        ("/site-owner/usage?site={site}&node=n_unknown", 404),
        ("/site-owner/usage?site={site}&day=32", 404),
        ("/site-owner/usage?site={site}&day=x", 404),
        ("/site-owner/statement?site=s_unknown", 404),
    ],
)
def test_what_is_not_there_is_not_shown(market: Marketplace, path: str, status: int) -> None:
    assert market.host.get(path.format(site=market.site_id)).status_code == status


def test_only_a_site_s_owner_and_the_platform_see_it(market: Marketplace) -> None:
    customer = market.customer(micros=0)
    at = f"site={market.site_id}"
    for path in ("/site-owner", f"/site-owner/usage?{at}", f"/site-owner/statement?{at}"):
        assert customer.browser.get(path).status_code in (403, 404)
    other = market.rig.member("other@host.example", intent="host")
    assert other.get(f"/site-owner?{at}").status_code == 404
    assert market.rig.member(ADMIN, intent="use").get(f"/site-owner?{at}").status_code == 200


def test_before_there_is_a_site_the_page_says_how_to_begin(rig: Rig) -> None:
    page = rig.member("new@host.example", intent="host").get("/site-owner").text

    assert "You have no site yet." in page


def _own(market: Marketplace) -> str:
    """The host's own organization, which its own pages may name."""
    page = market.host.get("/").text
    found = re.search(r'name="space" value="([^/"]+)/', page)
    return found.group(1) if found else ""

"""The one page that launches."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from protocol.clock import MINUTE_MS
from registry.allocations.fleet import Market
from registry.allocations.offers import MARKET
from registry.allocations.queries import find_allocation
from registry.server.session import SESSION_COOKIE
from registry.store.tables.allocations import allocation
from tests.registry.marketplace import (
    APP_IMAGE,
    HOURLY,
    IMAGE,
    MODEL,
    SKU,
    Marketplace,
    add_online_node,
)
from tests.registry.rig import BASE_URL, HOST

PRICE = "$3.60"


def test_a_launch_goes_on_to_the_workload_in_its_first_state(market: Marketplace) -> None:
    ana = market.customer()

    answer = ana.launches()
    page = ana.browser.get(answer.headers["Location"])

    assert answer.status_code == 303
    assert page.status_code == 200
    assert "Provisioning" in page.text
    assert "demo-nbo-1 at Demo edge room" in page.text
    assert "simulated" in page.text


def test_a_launch_sent_twice_launches_once(market: Marketplace) -> None:
    ana = market.customer()

    first = ana.launches(idempotency_key="one-launch-of-mine")
    again = ana.launches(idempotency_key="one-launch-of-mine")

    assert again.status_code == 303
    assert again.headers["Location"] == first.headers["Location"]
    assert _allocations(market) == 1


def test_the_same_launch_from_twenty_tabs_at_once_launches_once(market: Marketplace) -> None:
    ana = market.customer()
    token = ana.browser.token()
    cookie = ana.browser.client.get_cookie(SESSION_COOKIE, domain=HOST)
    assert cookie is not None
    form = {
        "csrf_token": token,
        "idempotency_key": "twenty-tabs-one-launch",
        "sku": SKU,
        "gpu_count": "1",
        "place": "any",
        "image": IMAGE,
        "name": "once",
    }

    def submit(_tab: int) -> tuple[int, str]:
        client = market.rig.app.test_client()
        client.set_cookie(SESSION_COOKIE, cookie.value, domain=HOST, secure=True)
        answer = client.post("/launch", base_url=BASE_URL, data=form)
        return answer.status_code, answer.headers.get("Location", answer.text)

    with ThreadPoolExecutor(20) as tabs:
        answers = list(tabs.map(submit, range(20)))

    assert {status for status, _ in answers} == {303}, answers
    assert len({location for _, location in answers}) == 1
    assert _allocations(market) == 1


def test_a_used_key_with_another_form_is_refused_and_names_the_first(market: Marketplace) -> None:
    ana = market.customer()
    first = ana.launched(idempotency_key="one-launch-of-mine")

    other = ana.launches(name="another", idempotency_key="one-launch-of-mine")

    assert other.status_code == 409
    assert f"/workloads/{first}" in other.text
    assert _allocations(market) == 1


def test_without_balance_the_page_stays_filled_and_says_what_is_missing(
    market: Marketplace,
) -> None:
    ana = market.customer(micros=1_000_000)

    answer = ana.launches(name="kept-name", environment="A=1")

    assert answer.status_code == 402
    assert "$2.60 is missing" in answer.text
    assert 'value="kept-name"' in answer.text
    assert "A=1" in answer.text
    assert "/billing/add-funds?return_to=/launch" in answer.text
    assert _allocations(market) == 0


def test_the_same_key_launches_after_funds_were_added(market: Marketplace) -> None:
    ana = market.customer(micros=0)
    refused = ana.launches(idempotency_key="paid-for-later")
    market.fund(ana.tenant_id, 50_000_000)

    answer = ana.launches(idempotency_key="paid-for-later")

    assert refused.status_code == 402
    assert answer.status_code == 303


def test_without_room_the_page_names_the_rule_of_each_node(market: Marketplace) -> None:
    ana = market.customer()
    add_online_node(market, "demo-nbo-2", cards=1, first=40)

    answer = ana.launches(gpu_count="2", place=f"site:{market.site_id}")
    full = ana.launches(gpu_count="4")

    assert answer.status_code == 303
    assert full.status_code == 409
    assert "Why it was not placed" in full.text
    assert "demo-nbo-1" in full.text
    assert "demo-nbo-2" in full.text
    assert "too few GPUs are free" in full.text
    assert _allocations(market) == 1


def test_a_shape_that_is_sold_out_stays_chosen_and_says_why_it_cannot_be_launched(
    market: Marketplace,
) -> None:
    ana = market.customer()
    first = ana.launched(gpu_count="2")

    page = ana.browser.get(f"/launch?from={first}").text
    typed = {name: value for name, value in _submitted(page).items() if name != "name"}
    answer = ana.launches(**typed)

    button = page[page.index('id="launch-button"') :][:200]
    assert " disabled " in button
    assert "No shape is free now" in page
    assert typed["sku"] == SKU
    assert answer.status_code == 409
    assert "Choose a shape" not in answer.text
    assert "too few GPUs are free" in answer.text
    assert _allocations(market) == 1


def test_an_alternative_is_launched_with_one_press_and_keeps_what_was_typed(
    market: Marketplace,
) -> None:
    ana = market.customer()
    full = ana.launches(gpu_count="4", name="kept-name", environment="A=1")
    pressed = re.search(r'name="instead" value="([^"]+)"', full.text)
    assert pressed is not None

    answer = ana.launches(
        gpu_count="4", name="kept-name", environment="A=1", instead=pressed.group(1)
    )

    assert full.status_code == 409
    assert pressed.group(1) == f"{SKU} 2 any"
    assert "Launch 2 × Simulated H100 for $7.20 / h" in full.text
    assert answer.status_code == 303
    with market.rig.database.reading() as db:
        found = find_allocation(db, answer.headers["Location"].removeprefix("/workloads/"))
    assert found is not None
    assert (found.name, found.accelerator_count) == ("kept-name", 2)
    assert found.manifest.environment["A"] == "1"


def test_every_wrong_field_is_named_at_once(market: Marketplace) -> None:
    ana = market.customer()

    answer = ana.launches(
        image="busybox:latest", name="Not A Name", environment="LD_PRELOAD=x", command="'open"
    )

    assert answer.status_code == 422
    assert "4 fields need to be put right" in answer.text.replace("\u00a0", " ")
    for field in ("image", "name", "environment", "command"):
        assert f'href="#f-{field}"' in answer.text
    assert _allocations(market) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gpu_count", "0"),
        ("gpu_count", "17"),
        ("gpu_count", "٣"),
        ("gpu_count", "1e3"),
        ("sku", "no-such"),
        ("sku", MODEL),
        ("place", "country:kenya"),
        ("image", "x@sha256:zz"),
    ],
)
def test_a_field_out_of_bounds_is_refused_by_name(
    market: Marketplace, field: str, value: str
) -> None:
    ana = market.customer()

    answer = ana.launches(**{field: value})

    assert answer.status_code == 422
    assert f'href="#f-{field}"' in answer.text


def test_a_form_without_its_fields_launches_nothing(market: Marketplace) -> None:
    ana = market.customer()

    answer = ana.browser.post("/launch", name="bare")

    assert answer.status_code == 422
    assert 'href="#f-sku"' in answer.text
    assert 'href="#f-image"' in answer.text
    assert _allocations(market) == 0


def test_an_app_brings_its_ports_and_what_it_serves(market: Marketplace) -> None:
    ana = market.customer()

    made = ana.launched(image="demo-echo", name="")

    with market.rig.database.reading() as db:
        found = find_allocation(db, made)
    assert found is not None
    assert found.manifest.image == APP_IMAGE
    assert found.manifest.serves == "openai"
    assert found.name.startswith("demo-echo-")


def test_two_of_a_shape_cost_twice(market: Marketplace) -> None:
    ana = market.customer()

    made = ana.launched(gpu_count="2")

    with market.rig.database.reading() as db:
        found = find_allocation(db, made)
    assert found is not None
    assert (found.accelerator_count, found.hourly_micros) == (2, 2 * HOURLY)


def test_the_review_says_what_would_happen(market: Marketplace) -> None:
    ana = market.customer(micros=7_200_000)

    page = ana.browser.get(
        f"/launch/review?sku={SKU}&gpu_count=2&place=any&image={IMAGE}&idempotency_key=r_12345678"
    ).text

    assert "$7.20 / h" in page
    assert "1 h" in page
    assert "Image: pinned by digest" in page
    assert "Balance: covers the first hour" in page


def test_the_review_says_why_it_would_not_work(market: Marketplace) -> None:
    ana = market.customer(micros=1_000_000)
    market.rig.clock.forward(5 * MINUTE_MS)

    page = ana.browser.get(f"/launch/review?sku={SKU}&gpu_count=1&place=any&image=busybox").text

    assert "it has not been heard from" in page
    assert "short of the first hour" in page
    assert "name it by digest" in page


def test_the_launch_page_offers_the_shape_the_app_and_the_places(market: Marketplace) -> None:
    ana = market.customer()

    page = ana.browser.get("/launch").text

    assert "Simulated H100" in page
    assert PRICE in page
    assert "Demo model server 1.0" in page
    assert "Anywhere in Kenya" in page
    assert "Demo edge room, Nairobi" in page


def test_simulated_shapes_are_not_offered_outside_demo_mode(market: Marketplace) -> None:
    ana = market.customer()
    market.rig.app.extensions[MARKET] = lambda _db: Market(demo=False, blocking={})

    page = ana.browser.get("/launch").text
    answer = ana.launches()

    assert "Simulated H100" not in page
    assert answer.status_code == 422
    assert "sold in demo mode alone" in answer.text


def test_a_form_without_our_token_launches_nothing(market: Marketplace) -> None:
    ana = market.customer()

    answer = ana.launches(csrf_token="0" * 64)

    assert answer.status_code == 403
    assert _allocations(market) == 0


def _allocations(market: Marketplace) -> int:
    with market.rig.database.reading() as db:
        return int(db.value(select(func.count()).select_from(allocation)))


def _submitted(page: str) -> dict[str, str]:
    """What a browser sends of a page's form: no disabled field, no choice that is not made."""
    sent: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", page[page.index('id="launch"') :]):
        name, value = (re.search(rf' {part}="([^"]*)"', tag) for part in ("name", "value"))
        unmade = 'type="radio"' in tag and " checked" not in tag
        if name and value and not unmade and " disabled" not in tag:
            sent.setdefault(name.group(1), value.group(1))
    return sent

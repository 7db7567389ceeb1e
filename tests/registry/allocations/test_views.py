"""Pages of the workloads: launch, watch, list, release."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text

from protocol.clock import MINUTE_MS
from registry.allocations.offers import MARKET
from registry.allocations.operations import Market
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


def test_the_state_path_shows_times_and_facts_up_to_active(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched()

    market.node_says(made, "pulling")
    pulling = ana.browser.get(f"/workloads/{made}").text
    market.runs(made)
    active = ana.browser.get(f"/workloads/{made}").text

    assert 'aria-current="step"' in pulling
    assert "fetching the image" in pulling
    assert "Not charging" in pulling
    assert f"Charging {PRICE} / h since" in " ".join(active.split())
    assert "demo-nbo-1" in active


def test_cost_and_receipts_appear_once_usage_is_verified(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched()
    market.runs(made)

    market.uses(made, 3)
    page = ana.browser.get(f"/workloads/{made}").text

    assert "$0.18" in page
    assert f"/billing/receipts/registry.example/log/{market.node_id}/0/3" in page


def test_a_release_stops_charging_at_once_and_twice_is_once(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched()
    market.runs(made)

    first = ana.browser.post(f"/workloads/{made}/release")
    again = ana.browser.post(f"/workloads/{made}/release")
    page = ana.browser.get(f"/workloads/{made}").text

    assert (first.status_code, again.status_code) == (303, 303)
    assert "Releasing" in page
    assert "Not charging since" in page
    assert "You asked" in page
    assert "waiting for the node" in page


def test_a_release_on_a_silent_node_is_queued_and_says_so(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched()
    market.runs(made)
    market.rig.clock.forward(10 * MINUTE_MS)

    ana.browser.post(f"/workloads/{made}/release")
    page = ana.browser.get(f"/workloads/{made}").text

    assert "The node has not been heard from" in page
    assert "Queued: the node does it on contact. You are not charged after" in page


def test_a_failure_says_why_and_offers_the_same_again(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched(name="broken", command="sleep 5", environment="A=b")

    market.node_says(made, "exited", failure="image_missing")
    page = ana.browser.get(f"/workloads/{made}").text
    again = ana.browser.get(f"/launch?from={made}").text

    assert "The image is not on the node and cannot be fetched there." in page
    assert f"/launch?from={made}" in page
    assert 'value="broken"' in again
    assert 'value="sleep 5"' in again
    assert "A=b" in again


def test_used_but_unverified_time_is_held_and_never_counted_as_cost(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched()
    market.runs(made)

    market.rig.clock.forward(30 * MINUTE_MS)
    page = " ".join(ana.browser.get(f"/workloads/{made}").text.split())

    assert "<dt>Cost so far</dt><dd>$0.00" in page
    assert "<dt>Held</dt><dd>$1.80" in page


def test_what_ended_stays_for_ten_minutes_and_is_then_history(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched(name="short-run")
    market.node_says(made, "exited", exit_code=0)

    at_once = ana.browser.get("/workloads").text
    market.rig.clock.forward(11 * MINUTE_MS)
    later = ana.browser.get("/workloads").text
    history = ana.browser.get("/workloads?tab=history").text

    assert "moved to" in at_once
    assert "short-run" not in later
    assert "short-run" in history


def test_attention_lists_failures_and_silence(market: Marketplace) -> None:
    ana = market.customer()
    failed = ana.launched(name="failed-one")
    market.node_says(failed, "exited", failure="oom")
    silent = ana.launched(name="silent-one")
    market.runs(silent)
    market.rig.clock.forward(2 * MINUTE_MS)

    page = ana.browser.get("/workloads?tab=attention").text

    assert "failed-one" in page
    assert "silent-one" in page
    assert "No contact, last" in page


def test_the_list_is_filtered_by_typed_terms(market: Marketplace) -> None:
    ana = market.customer()
    ana.launched(name="train-one")
    active = ana.launched(name="chat-two")
    market.runs(active)

    by_state = ana.browser.get("/workloads?filter=state:active").text
    by_site = ana.browser.get("/workloads?filter=site:nowhere").text
    by_name = ana.browser.get("/workloads?filter=name:TRAIN site:demo").text
    hostile = ana.browser.get("/workloads?filter=%25").text

    assert "chat-two" in by_state
    assert "train-one" not in by_state
    assert "No workload matches" in by_site
    assert "train-one" in by_name
    assert "chat-two" not in by_name
    assert "train-one" not in hostile


def test_the_list_leaves_as_csv_that_runs_nothing(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched(name="plain")
    with market.rig.database.unit() as db:
        db.execute(text("UPDATE allocation SET name = '=cmd|calc', state = 'active'"))

    answer = ana.browser.get("/workloads?as=csv")
    rows = list(csv.reader(io.StringIO(answer.text)))

    assert answer.content_type.startswith("text/csv")
    assert rows[1][0] == made
    assert rows[1][1] == "'=cmd|calc"


def test_the_list_leaves_as_json(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched()

    answer = ana.browser.get("/workloads?as=json")

    assert answer.json is not None
    assert [one["id"] for one in answer.json["data"]] == [made]


def test_stored_script_stays_text_on_every_page(market: Marketplace) -> None:
    hostile = "<script>alert(1)</script>"
    ana = market.customer()
    made = ana.launched(command=f"echo '{hostile}'")
    with market.rig.database.unit() as db:
        db.execute(text("UPDATE allocation SET name = :name"), {"name": hostile})
        db.execute(text("UPDATE allocation_event SET fact = :fact"), {"fact": hostile})

    for path in ("/", "/workloads", f"/workloads/{made}", "/billing", "/search?q=<script>alert"):
        page = ana.browser.get(path).text
        assert hostile not in page, path
    assert "&lt;script&gt;" in ana.browser.get(f"/workloads/{made}").text


def test_another_organizations_workload_is_absent(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched(name="secret-work")
    eve = market.customer("eve@other.example")

    shown = eve.browser.get(f"/workloads/{made}")
    released = eve.browser.post(f"/workloads/{made}/release")
    copied = eve.browser.get(f"/launch?from={made}")
    listed = eve.browser.get("/workloads").text
    host = market.host.get(f"/workloads/{made}")

    assert (shown.status_code, released.status_code, copied.status_code) == (404, 404, 404)
    assert host.status_code == 404
    assert "secret-work" not in listed
    assert "secret-work" not in shown.text


def test_a_form_without_our_token_launches_nothing(market: Marketplace) -> None:
    ana = market.customer()

    answer = ana.launches(csrf_token="0" * 64)

    assert answer.status_code == 403
    assert _allocations(market) == 0


def test_a_poll_of_what_did_not_change_has_no_body(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched()

    first = ana.browser.get(f"/workloads/{made}", HX_Request="true")
    tag = first.headers["HX-PTag"]
    same = ana.browser.get(f"/workloads/{made}", HX_Request="true", HX_PTag=tag)
    market.node_says(made, "starting")
    changed = ana.browser.get(f"/workloads/{made}", HX_Request="true", HX_PTag=tag)

    assert "<html" not in first.text
    assert (same.status_code, same.text) == (304, "")
    assert changed.status_code == 200


def _allocations(market: Marketplace) -> int:
    with market.rig.database.reading() as db:
        return int(db.value(select(func.count()).select_from(allocation)))

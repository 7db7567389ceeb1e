"""Pages of the workloads: watch, list, release."""

import csv
import io
import re

from sqlalchemy import text

from protocol.clock import MINUTE_MS
from tests.registry.marketplace import Marketplace

PRICE = "$3.60"


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


def test_what_ended_by_itself_just_before_its_release_is_released_and_says_why(
    market: Marketplace,
) -> None:
    ana = market.customer()
    made = ana.launched(gpu_count="2")
    market.runs(made)
    ana.browser.post(f"/workloads/{made}/release")

    for phase in ("exited", "absent"):
        market.node_says(made, phase, failure="exited", exit_code=3)  # type: ignore[arg-type]  # literals
    page = ana.browser.get(f"/workloads/{made}").text

    assert "Released" in page
    assert "waiting for the node" not in page
    assert "The container ended by itself. Exit code 3." in page
    assert f"/launch?from={made}" in page
    assert ana.launches("next", gpu_count="2").status_code == 303


def test_what_ran_out_of_balance_and_was_cleaned_up_is_released_at_once(
    market: Marketplace,
) -> None:
    ana = market.customer()
    made = ana.launched()
    market.runs(made)
    for phase in ("exited", "absent"):
        market.node_says(made, phase, failure="lease")  # type: ignore[arg-type]  # literals

    ana.browser.post(f"/workloads/{made}/release")
    page = ana.browser.get(f"/workloads/{made}").text

    assert "waiting for the node" not in page
    assert "Nothing of it was left on the node." in page


def test_what_runs_to_completion_with_exit_code_0_has_finished(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched(kind="task")
    market.runs(made)

    market.node_says(made, "exited", exit_code=0)
    page = ana.browser.get(f"/workloads/{made}").text
    listed = ana.browser.get("/workloads").text
    again = ana.browser.get(f"/launch?from={made}").text

    assert "Finished with exit code 0." in page
    assert "Failed" not in page
    assert ">Finished</span>" in page
    assert ">Finished</span>" in listed
    assert re.search(r'value="task" checked', again)


def test_what_was_to_stay_and_ended_well_is_told_how_to_run_to_completion(
    market: Marketplace,
) -> None:
    ana = market.customer()
    made = ana.launched()
    market.runs(made)

    market.node_says(made, "exited", failure="exited", exit_code=0, detail="It ended with code 0.")
    page = ana.browser.get(f"/workloads/{made}").text

    assert "ended by itself with exit code 0, but was launched to stay" in page
    assert "It ended with code 0." not in page


def test_a_kind_that_is_none_is_refused_at_its_field(market: Marketplace) -> None:
    refused = market.customer().launches(kind="forever")

    assert refused.status_code == 422
    assert "Choose whether it stays or runs to completion" in refused.text


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

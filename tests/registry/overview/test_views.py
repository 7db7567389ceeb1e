"""Home, search and the pages of money."""

import csv
import html
import io

from sqlalchemy import text

from protocol.clock import MINUTE_MS
from protocol.health import Finding
from registry.incidents.operations import open_finding
from tests.registry.marketplace import HOURLY, Customer, Marketplace
from tests.registry.rig import Rig


def test_a_first_visit_is_led_through_what_to_do(market: Marketplace) -> None:
    ana = market.customer(micros=0)

    page = ana.browser.get("/").text

    assert "Set up" in page
    assert "Add funds" in page
    assert "The smallest costs $3.60 per hour." in page
    assert "Nothing needs you now" in page


def test_the_steps_go_once_all_are_done(market: Marketplace) -> None:
    ana = market.customer()
    market.runs(ana.launched())
    ana.api()
    with market.rig.database.reading() as db:
        key_id = str(db.value(text("SELECT api_key_id FROM api_key")))
    before = ana.browser.get("/").text
    market.calls(key_id, ana.tenant_id, ana.project_id, 1_000)

    after = ana.browser.get("/").text

    assert "Set up" in before
    assert "Set up" not in after


def test_home_shows_funds_work_and_spending(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched()
    market.runs(made)
    market.uses(made, 10)

    page = ana.browser.get("/").text

    assert "train-sw-llm" in page
    assert "$49.40" in page
    assert "Spending, last 30 days" in page
    assert "$0.60 in 30 days" in page


def test_home_asks_for_attention_where_a_node_is_silent(market: Marketplace) -> None:
    ana = market.customer()
    market.runs(ana.launched())
    market.rig.clock.forward(5 * MINUTE_MS)

    page = ana.browser.get("/").text

    assert "demo-nbo-1 is silent. It keeps running there; usage is held." in page


def test_a_host_sees_its_sites_and_no_customer(market: Marketplace) -> None:
    market.customer().launched(name="customers-work")

    page = market.host.get("/").text

    assert "Demo edge room" in page
    assert "simulated" in page
    assert "customers-work" not in page


def test_billing_says_how_long_the_money_lasts_and_what_stops(market: Marketplace) -> None:
    ana = market.customer(micros=20 * HOURLY)
    market.runs(ana.launched(name="first"))
    market.runs(ana.launched(name="second"))

    page = " ".join(ana.browser.get("/billing").text.split())

    assert "<dt>Spending now</dt><dd>$7.20" in page
    assert "<dt>Lasts</dt><dd>10 h" in page
    assert page.count('class="name" href="/workloads/a_') == 2


def test_the_ledger_runs_with_its_balance_and_leads_to_receipts(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched()
    market.runs(made)
    market.uses(made, 10)

    page = ana.browser.get("/billing/ledger").text

    assert "$49.40" in page
    assert "$50.00" in page
    assert f'href="/workloads/{made}"' in page
    assert "/receipt" in page


def test_usage_that_is_not_verified_is_listed_as_held(market: Marketplace) -> None:
    ana = market.customer()
    market.runs(ana.launched())
    market.rig.clock.forward(30 * MINUTE_MS)

    page = ana.browser.get("/billing/ledger").text

    assert "Held, not charged" in page
    assert "$1.80" in page
    assert "demo-nbo-1" in page


def test_the_ledger_is_paged_by_key_and_a_new_entry_moves_nothing(market: Marketplace) -> None:
    ana = market.customer(micros=0)
    market.fund(ana.tenant_id, *(1_000 + number for number in range(120)))

    first = ana.browser.get("/billing/ledger").text
    market.fund(ana.tenant_id, 5)
    link = first.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
    second = ana.browser.get(link.replace("&amp;", "&")).text

    assert first.count('<tr><th scope="row" class="fold">') == 50
    assert second.count('<tr><th scope="row" class="fold">') == 50
    assert "$0.001069" in second
    assert "$0.00107<" not in second


def test_the_ledger_leaves_as_csv_whole_and_inert(market: Marketplace) -> None:
    ana = market.customer(micros=0)
    market.fund(ana.tenant_id, *[1_000] * 201, src="=HYPERLINK(1)")

    answer = ana.browser.get("/billing/ledger?as=csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))

    assert len(rows) == 201
    assert rows[0]["balance_after"] == "201000"
    assert rows[0]["micros"] == "1000"
    assert rows[0]["source"].startswith("'=HYPERLINK")


def test_lines_of_simulated_shapes_say_so_in_the_file(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched()
    market.runs(made)
    market.uses(made, 5)

    answer = ana.browser.get("/billing/ledger?as=csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))

    assert {row["kind"]: row["simulated"] for row in rows} == {"usage": "simulated", "top_up": ""}


def test_a_whole_id_leads_to_its_object_and_a_foreign_one_nowhere(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched()
    eve = market.customer("eve@other.example")

    own = ana.browser.get(f"/search?q={made}")
    foreign = eve.browser.get(f"/search?q={made}")
    node = market.host.get(f"/search?q={market.node_id}")
    hidden = eve.browser.get(f"/search?q={market.node_id}")

    assert own.headers["Location"] == f"/workloads/{made}"
    assert foreign.status_code == 200
    assert "Nothing here has that name or id" in foreign.text
    assert node.headers["Location"] == f"/nodes/{market.node_id}"
    assert hidden.status_code == 200


def test_a_name_is_found_among_workloads_pages_and_keys(market: Marketplace) -> None:
    ana = market.customer()
    ana.launched(name="billing-job")
    ana.browser.post("/access/api-keys", name="billing robot", expires="30")

    page = ana.browser.get("/search?q=billing").text

    assert "billing-job" in page
    assert "billing robot" in page
    assert 'href="/billing"' in page


def test_sites_nodes_parts_of_ids_and_the_page_that_launches_are_found(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched(name="train")

    sites = market.host.get("/search?q=edge+nairobi").text
    nodes = market.host.get("/search?q=demo-nbo").text
    launch = ana.browser.get("/search?q=launch").text
    ledger = ana.browser.get("/search?q=ledger").text
    by_id = ana.browser.get(f"/search?q={made[:26]}").text

    assert f'href="/nodes?site={market.site_id}"' in sites
    assert f'href="/nodes/{market.node_id}"' in nodes
    assert 'class="name" href="/launch"' in launch
    assert 'class="name" href="/billing/ledger"' in ledger
    assert f'href="/workloads/{made}"' in by_id


def test_a_search_leads_nobody_to_what_is_not_theirs(market: Marketplace) -> None:
    ana = market.customer()

    whole = ana.browser.get(f"/search?q={market.site_id}")
    part = ana.browser.get("/search?q=edge").text
    adding = ana.browser.get("/search?q=add").text

    assert whole.status_code == 200
    assert market.site_id not in part
    assert 'href="/sites/new"' not in adding
    assert market.host.get(f"/search?q={market.site_id}").headers["Location"] == (
        f"/nodes?site={market.site_id}"
    )


def test_home_and_the_tab_count_the_same_workloads(market: Marketplace) -> None:
    ana = market.customer()
    ended = ana.launched(name="ended")
    market.runs(ended)
    ana.browser.post(f"/workloads/{ended}/release")
    market.node_says(ended, "absent")
    market.runs(ana.launched(name="running"))

    home = " ".join(ana.browser.get("/").text.split())
    tab = " ".join(ana.browser.get("/workloads").text.split())

    assert "<dt>Workloads</dt><dd>1 <small>active</small>" in home
    assert "ended" in tab
    assert 'Active <span class="n">1</span>' in tab


def test_the_balance_is_answered_as_the_command_reads_it(market: Marketplace) -> None:
    ana = market.customer(micros=20 * HOURLY)
    program = ana.api()
    market.runs(ana.launched())

    answer = program.get("/api/v1/balance").json

    assert answer is not None
    found = answer["data"]
    assert found["wallet_micros"] == 20 * HOURLY
    assert found["hourly_micros"] == HOURLY
    assert found["held_micros"] > 0
    assert found["available_micros"] == 20 * HOURLY - found["held_micros"]
    assert found["state"] == "low"
    assert found["runway_ms"] == 20 * 3_600_000


def docker_is_down(market: Marketplace) -> None:
    finding = Finding(
        "docker_down",
        "critical",
        "docker",
        market.rig.clock(),
        "The container engine does not answer: /var/run/docker.sock.",
        "Start the engine.",
    )
    with market.rig.database.unit() as db:
        open_finding(db, market.node_id, finding, now_ms=market.rig.clock())


def test_home_lists_what_is_wrong_with_the_readers_nodes_and_counts_as_nodes_does(
    market: Marketplace,
) -> None:
    docker_is_down(market)

    home = " ".join(market.host.get("/").text.split())
    nodes = " ".join(market.host.get("/nodes").text.split())
    sites = market.host.get("/sites").text

    assert "Nothing needs you now" not in home
    assert "The container engine does not answer: /var/run/docker.sock. Start the engine." in home
    assert "0 of 1 · 1 degraded" in home
    assert "0 of 1 · 1 degraded" in sites
    assert "Degraded" in nodes


def test_a_host_hears_at_home_of_a_node_that_went_silent(market: Marketplace) -> None:
    market.rig.clock.forward(5 * MINUTE_MS)

    assert "Not heard from." in market.host.get("/").text


def test_a_customer_hears_what_is_wrong_where_its_work_is_and_nothing_of_the_machine(
    market: Marketplace,
) -> None:
    ana = market.customer()
    made = ana.launched()
    docker_is_down(market)

    home = html.unescape(ana.browser.get("/").text)
    page = html.unescape(ana.browser.get(f"/workloads/{made}").text)
    tab = ana.browser.get("/workloads?tab=attention").text

    told = "Its node has a problem: its container engine does not answer."
    assert told in home
    assert told in page
    assert "docker.sock" not in home + page
    assert made in tab


def test_programs_hear_the_same_standing_as_pages_show(market: Marketplace) -> None:
    docker_is_down(market)
    host = Customer(market, market.host, "host@site.example")

    found = host.api().get("/api/v1/nodes").json

    assert found is not None
    assert [one["state"] for one in found["data"]] == ["degraded"]


def test_an_organization_that_hosts_is_led_to_its_first_node_and_not_to_pay(rig: Rig) -> None:
    host = rig.member("host@site.example", intent="host")

    page = host.get("/").text

    assert "Add a site" in page
    assert "Bring a node online" in page
    assert "Add funds</a></b>" not in page


def test_the_steps_of_a_host_go_once_its_node_was_heard_of(market: Marketplace) -> None:
    assert "Set up" not in market.host.get("/").text


def test_the_addresses_of_the_first_steps_lead_to_their_pages(rig: Rig) -> None:
    host = rig.member("host@site.example", intent="host")

    found = [host.get(f"/onboarding/{step}") for step in ("site", "node", "done", "no")]

    assert [one.status_code for one in found] == [308, 308, 308, 404]
    assert [one.headers.get("Location") for one in found[:3]] == ["/sites/new", "/nodes/new", "/"]


def test_what_simulated_gpus_cost_is_said_to_be_simulated(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched()
    market.runs(made)
    market.uses(made, 3)

    ledger = ana.browser.get("/billing/ledger").text
    receipt = ana.browser.get(f"/billing/receipts/registry.example/log/{market.node_id}/0/3").text
    nodes = market.host.get("/nodes").text

    tag = '<span class="tag">simulated</span>'
    assert ledger.count(tag) == 1
    assert tag in receipt
    assert "of 2, 2 simulated" in nodes

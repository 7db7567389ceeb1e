"""A customer launches, pays, runs out of money, loses a key: by the JSON API and by the pages."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest

from tests.paths.site import GPU_SKU, MODEL, Site
from tests.paths.template import new_keys
from tests.paths.visitor import signed_in

pytestmark = pytest.mark.docker

TABS = 4
REVOKED_S_MAX = 5.0
DEAR = Path(__file__).with_name("dear.toml")
LEFT_MICROS_MAX = 50_000
"""Of 40 dollars: too little for two ticks of the dear GPU, or not asked for in time."""


def test_a_launch_from_two_programs_at_once_is_one_allocation_and_one_container(
    site: Site,
) -> None:
    body = site.body()
    key = {"Idempotency-Key": "from-two-programs"}

    def launch() -> httpx.Response:
        with site.api() as api:
            return api.post("/api/v1/allocations", json=body, headers=key)

    answers = at_once(launch)
    assert {answer.status_code for answer in answers} == {201}
    (allocation_id,) = {answer.json()["data"]["id"] for answer in answers}
    assert_one_container(site, allocation_id, body["name"])

    with site.api() as api:
        other = api.post("/api/v1/allocations", json=site.body(), headers=key)
    assert other.status_code == 409
    assert other.json()["error"]["code"] == "idempotency_key_reused"
    site.release(allocation_id)


def test_a_launch_form_sent_from_two_tabs_is_one_allocation_and_one_container(site: Site) -> None:
    person = signed_in(site.setting)
    form = {
        "idempotency_key": "from-two-tabs",
        "sku": GPU_SKU,
        "gpu_count": "1",
        "place": "any",
        "image": site.image,
        "command": "sleep 600",
        "name": "from-two-tabs",
    }
    site.wait("a node that sells", lambda: not site.open_findings())
    answers = at_once(lambda: person.post("/launch", "/launch", **form))
    assert {answer.status_code for answer in answers} == {303}, answers[0].text
    (place,) = {answer.headers["Location"] for answer in answers}
    allocation_id = place.removeprefix("/workloads/")
    assert_one_container(site, allocation_id, "from-two-tabs")

    other = person.post("/launch", "/launch", **form | {"name": "another"})
    assert other.status_code == 409
    site.release(allocation_id)


def test_a_launch_without_balance_says_what_is_short_and_makes_nothing(site: Site) -> None:
    before = site.count_made()
    with site.api("poor") as api:
        answer = api.post(
            "/api/v1/allocations", json=site.body(), headers={"Idempotency-Key": "no-money-here"}
        )
    assert answer.status_code == 402
    error = answer.json()["error"]
    assert error["code"] == "insufficient_balance"
    assert error["limit_source"] == "balance"
    assert "$2.50 short" in error["message"]
    assert site.count_made() == before


def test_an_image_that_this_site_does_not_take_fails_with_its_name_and_costs_nothing(
    site: Site,
) -> None:
    wallet, body = site.wallet("rich"), site.body()
    body["manifest"]["image"] = f"nowhere.example/absent@sha256:{'0' * 64}"
    site.wait("a node that sells", lambda: not site.open_findings())
    with site.api() as api:
        answer = api.post(
            "/api/v1/allocations", json=body, headers={"Idempotency-Key": "image-nowhere"}
        )
    assert answer.status_code == 201, answer.text
    allocation_id = answer.json()["data"]["id"]

    site.wait("its end", lambda: site.show(allocation_id)["state"] == "failed")
    shown = site.show(allocation_id)
    assert "nowhere.example" in shown["fact"], shown
    assert shown["reason"]
    assert shown["charging"] is False
    assert site.containers() == []
    site.wait_until_billed()
    assert site.wallet("rich") == wallet
    assert site.uses(allocation_id) == []


def test_a_lease_that_is_spent_stops_calls_and_work_and_never_overdraws(site: Site) -> None:
    key = site.customer("thrifty").key
    site.setting.registry("catalogue", "load", str(DEAR))
    allocation_id = site.launch("thrifty", sku="sim-h100-dear")
    site.wait("the whole wallet leased", lambda: site.available("thrifty") == 0)

    with site.client(key, max_retries=0) as client:
        for words in (4_000, 400, 40, 4, 1):
            refusal = spend(client, words)
    assert refusal.status_code == 402
    assert isinstance(refusal.body, dict)
    assert refusal.body["limit_source"] == "site_lease"

    site.wait(
        "the end of the work",
        lambda: site.show(allocation_id, "thrifty")["state"] == "insufficient_balance",
    )
    shown = site.show(allocation_id, "thrifty")
    assert "balance" in shown["fact"].lower() or "lease" in shown["fact"].lower(), shown
    site.wait("no container", lambda: not site.containers())
    site.wait_until_billed()
    assert 0 <= site.wallet("thrifty") < LEFT_MICROS_MAX
    assert site.available("thrifty") >= 0
    assert site.overrun() == 0
    assert site.ledger_problems() == []


def test_a_revoked_key_is_refused_within_seconds(site: Site) -> None:
    person = signed_in(site.setting)
    (key,) = new_keys(site.setting, site.setting.project_id, 1)
    (key_id,) = site.in_registry("SELECT api_key_id FROM api_key ORDER BY created_at_ms DESC")[0]
    with site.client(key, max_retries=0) as client:
        site.wait("the new key", lambda: honours(client))
        page = "/access/api-keys"
        began = time.monotonic()
        assert person.post(f"{page}/{key_id}/revoke", page).status_code == 303
        site.wait("its refusal", lambda: not honours(client))
        assert time.monotonic() - began < REVOKED_S_MAX


def test_simulated_gpus_say_so_wherever_they_are_shown(site: Site) -> None:
    person = signed_in(site.setting)
    allocation_id = site.launch()
    with site.api() as api:
        (node,) = api.get("/api/v1/nodes").json()["data"]
        (sku,) = [one for one in api.get("/api/v1/skus").json()["data"] if one["id"] == GPU_SKU]
    assert node["simulated"] is True
    assert sku["simulated"] is True
    assert site.show(allocation_id)["simulated"] is True
    pages = (
        "/workloads",
        f"/workloads/{allocation_id}",
        "/launch",
        "/nodes",
        f"/nodes/{site.setting.node_id}",
    )
    for path in pages:
        answer = person.get(path)
        assert answer.status_code == 200, path
        assert "simulated" in answer.text.lower(), path
    site.release(allocation_id)


def at_once(act: Callable[[], httpx.Response]) -> list[httpx.Response]:
    with ThreadPoolExecutor(TABS) as tabs:
        return [done.result() for done in [tabs.submit(act) for _ in range(TABS)]]


def assert_one_container(site: Site, allocation_id: str, name: str) -> None:
    site.wait("an active workload", lambda: site.show(allocation_id)["state"] == "active")
    found = site.in_registry("SELECT allocation_id FROM allocation WHERE name = ?", name)
    assert found == [(allocation_id,)]
    assert len(site.containers()) == 1
    assert site.container_of(allocation_id)


def spend(client: openai.OpenAI, words: int) -> openai.APIStatusError:
    """Call until the node refuses; return the refusal."""
    prompt = " ".join(["word"] * words)
    for _ in range(1_000):
        try:
            client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": prompt}], max_tokens=words
            )
        except openai.APIStatusError as refusal:
            return refusal
    raise AssertionError("nothing was refused")


def honours(client: openai.OpenAI) -> bool:
    try:
        client.models.list()
    except openai.AuthenticationError:
        return False
    return True

"""The JSON API of the workloads."""

import msgspec
import pytest

from cli.answers import Allocation, Answer, Shape
from tests.registry.marketplace import HOURLY, IMAGE, SKU, Marketplace

BODY = {"name": "from-a-program", "sku": SKU, "manifest": {"image": IMAGE}}


def test_a_program_launches_and_the_command_can_read_the_answer(market: Marketplace) -> None:
    program = market.customer().api()

    answer = program.post("/api/v1/allocations", BODY, key="program-launch-1")
    made = msgspec.json.decode(answer.data, type=Answer[Allocation]).data

    assert answer.status_code == 201
    assert made is not None
    assert (made.state, made.hourly_micros, made.simulated) == ("provisioning", HOURLY, True)
    assert [event.state for event in made.events] == ["requested", "provisioning"]


def test_the_same_key_answers_the_same_and_another_body_is_refused(market: Marketplace) -> None:
    program = market.customer().api()
    first = program.post("/api/v1/allocations", BODY, key="program-launch-1")

    again = program.post("/api/v1/allocations", BODY, key="program-launch-1")
    other = program.post("/api/v1/allocations", {**BODY, "count": 2}, key="program-launch-1")

    assert first.json
    assert again.json
    assert other.json
    assert again.json["data"]["id"] == first.json["data"]["id"]
    assert (other.status_code, other.json["error"]["code"]) == (409, "idempotency_key_reused")


def test_a_launch_needs_a_key_of_its_own(market: Marketplace) -> None:
    program = market.customer().api()

    answer = program.post("/api/v1/allocations", BODY)

    assert answer.json is not None
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "idempotency_key_missing")


@pytest.mark.parametrize("key", ["abc", "x" * 65, "sp ace sp ace"])
def test_a_key_that_is_none_is_told_its_bounds(market: Marketplace, key: str) -> None:
    answer = market.customer().api().post("/api/v1/allocations", BODY, key=key)

    assert answer.json is not None
    error = answer.json["error"]
    assert (answer.status_code, error["code"]) == (400, "idempotency_key_invalid")
    assert f"of {len(key)} characters" in error["message"]
    assert "8 to 64" in error["message"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"image": None}, "image"), ({"image": 7}, "image"), ({"working_directory": "x"}, "")],
)
def test_a_manifest_that_lacks_its_image_or_has_another_kind_is_told_which_field(
    market: Marketplace, changes: dict[str, object], field: str
) -> None:
    manifest = {name: value for name, value in {"image": IMAGE, **changes}.items() if value}

    answer = (
        market.customer()
        .api()
        .post("/api/v1/allocations", {**BODY, "manifest": manifest}, key="program-launch-1")
    )

    assert answer.json is not None
    error = answer.json["error"]
    assert error["field"] == (field or "working_directory")
    assert error["message"].startswith(error["field"])
    assert "regex" not in error["message"]


def test_a_launch_without_balance_names_what_limits_it(market: Marketplace) -> None:
    program = market.customer(micros=0).api()

    answer = program.post("/api/v1/allocations", BODY, key="program-launch-1")

    assert answer.json is not None
    assert answer.status_code == 402
    assert answer.json["error"]["limit_source"] == "balance"


def test_a_wrong_body_is_refused_by_field(market: Marketplace) -> None:
    program = market.customer().api()

    unknown = program.post("/api/v1/allocations", {**BODY, "privileged": True}, key="launch-12345")
    image = program.post(
        "/api/v1/allocations", {**BODY, "manifest": {"image": "busybox"}}, key="launch-12346"
    )

    assert unknown.status_code in (400, 422)
    assert image.json is not None
    assert (image.status_code, image.json["error"]["field"]) == (422, "image")


def test_a_program_lists_what_runs_and_with_all_what_ended(market: Marketplace) -> None:
    ana = market.customer()
    program = ana.api()
    running = ana.launched(name="running")
    ended = ana.launched(name="ended")
    market.node_says(ended, "exited", exit_code=0)
    market.rig.clock.forward(700_000)

    active = program.get("/api/v1/allocations?all=0").json
    everything = program.get("/api/v1/allocations?all=1").json

    assert active
    assert everything
    assert [one["id"] for one in active["data"]] == [running]
    assert {one["id"] for one in everything["data"]} == {running, ended}


def test_a_program_releases_and_asking_again_changes_nothing(market: Marketplace) -> None:
    ana = market.customer()
    program = ana.api()
    made = ana.launched()
    market.runs(made)
    path = f"/api/v1/allocations/{made}/release"

    first = program.post(path, {}, key=f"release-{made}"[:64])
    again = program.post(path, {}, key=f"release-{made}"[:64])

    assert first.json
    assert again.json
    assert first.json["data"]["state"] == again.json["data"]["state"] == "releasing"
    assert first.json["data"]["release_at_ms"] == again.json["data"]["release_at_ms"]


def test_a_workload_leads_to_its_receipts_and_says_what_it_cost(market: Marketplace) -> None:
    ana = market.customer()
    made = ana.launched()
    market.runs(made)
    market.uses(made, 5)

    shown = ana.api().get(f"/api/v1/allocations/{made}").json

    assert shown
    log = f"registry.example/log/{market.node_id}/0"
    assert shown["data"]["receipts"] == [f"https://registry.example/billing/receipts/{log}/5"]
    assert shown["data"]["spent_micros"] == 300_000


def test_another_organizations_key_sees_nothing(market: Marketplace) -> None:
    made = market.customer().launched()
    eve = market.customer("eve@other.example").api()

    answers = [
        eve.get(f"/api/v1/allocations/{made}"),
        eve.post(f"/api/v1/allocations/{made}/release", {}, key="release-of-eve"),
    ]
    listed = eve.get("/api/v1/allocations?all=1").json

    assert [answer.status_code for answer in answers] == [404, 404]
    assert listed is not None
    assert listed["data"] == []


def test_without_a_key_there_is_no_answer(market: Marketplace) -> None:
    client = market.rig.app.test_client()

    answers = [
        client.get(path, base_url="https://registry.example")
        for path in ("/api/v1/allocations", "/api/v1/balance", "/api/v1/ledger", "/v1/models")
    ]

    assert {answer.status_code for answer in answers} == {401}


def test_a_program_finds_the_shapes_with_their_price_and_where_they_are_free(
    market: Marketplace,
) -> None:
    program = market.customer().api()

    answer = program.get("/api/v1/gpus")
    (shape,) = msgspec.json.decode(answer.data, type=Answer[tuple[Shape, ...]]).data or ()

    assert (shape.id, shape.hourly_micros, shape.simulated) == (SKU, HOURLY, True)
    assert [(place.name, place.free) for place in shape.sites] == [("Demo edge room", 2)]
    assert shape.unavailable == ""


def test_a_shape_that_nobody_has_free_says_so(market: Marketplace) -> None:
    ana = market.customer()
    ana.launched(gpu_count="2")

    answer = ana.api().get("/api/v1/gpus")
    (shape,) = msgspec.json.decode(answer.data, type=Answer[tuple[Shape, ...]]).data or ()

    assert (shape.free, shape.sites, shape.unavailable) == (0, (), "None free now")


def test_an_unknown_shape_is_refused_with_where_shapes_are_listed(market: Marketplace) -> None:
    answer = (
        market.customer().api().post("/api/v1/allocations", {**BODY, "sku": "no"}, key="key-1234")
    )

    assert answer.json is not None
    assert "`outstation gpus`" in answer.json["error"]["hint"]

"""The models a key may call."""

import json

import pytest
from sqlalchemy import text

from protocol.clock import MINUTE_MS
from tests.registry.marketplace import MODEL, Marketplace


@pytest.mark.parametrize("path", ["/v1/models", "/api/v1/models"])
def test_models_come_in_the_shape_of_the_openai_api(market: Marketplace, path: str) -> None:
    market.serves(MODEL)
    program = market.customer().api()

    answer = program.get(path).json

    assert answer is not None
    assert answer["object"] == "list"
    (model,) = answer["data"]
    assert (model["id"], model["object"]) == (MODEL, "model")
    assert model["context_length"] == 4096
    assert model["nodes"] == ["demo-nbo-1"]
    assert {price["meter"]: (price["micros"], price["per"]) for price in model["prices"]} == {
        "tok.in": (1, 10),
        "tok.out": (2, 10),
    }


def test_a_model_without_a_price_or_on_a_silent_node_is_not_offered(market: Marketplace) -> None:
    market.serves(MODEL, "unpriced")
    program = market.customer().api()

    known = program.get("/v1/models").json
    market.rig.clock.forward(MINUTE_MS)
    silent = program.get("/v1/models").json

    assert known is not None
    assert silent is not None
    assert [model["id"] for model in known["data"]] == [MODEL]
    assert silent["data"] == []


def test_a_key_for_other_models_is_offered_none_of_these(market: Marketplace) -> None:
    market.serves(MODEL)
    program = market.customer().api()
    with market.rig.database.unit() as db:
        db.execute(text("UPDATE api_key SET models = :models"), {"models": json.dumps(["other"])})

    answer = program.get("/v1/models").json

    assert answer is not None
    assert answer["data"] == []


def test_a_wrong_key_is_refused_in_the_openai_shape(market: Marketplace) -> None:
    client = market.rig.app.test_client()
    headers = {"Authorization": "Bearer ok_" + "0" * 52}

    answer = client.get("/v1/models", base_url="https://registry.example", headers=headers)

    assert answer.json is not None
    assert answer.status_code == 401
    assert answer.json["error"]["code"] == "invalid_api_key"

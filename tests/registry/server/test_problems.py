"""Every answer no has the form its asker reads, and every breakage says nothing but its id."""

import json
import logging

import pytest
from flask import Blueprint, request

from protocol.refusal import Fault, Refusal
from registry.server.headers import CONTENT_SECURITY_POLICY
from registry.server.problems import OPENAI_PATHS
from registry.server.session import source_address
from tests.registry.rig import BASE_URL, Rig

broken = Blueprint("broken", __name__)
PATHS = ("/broken", "/api/v1/broken", "/api/v1/chat/broken", "/node/v1/broken")


@broken.get("/<path:rest>/fault", endpoint="fault")
def break_down(rest: str) -> str:
    raise Fault("the disk of db-3 is on fire")


@broken.get("/<path:rest>/refusal", endpoint="refusal")
def refuse(rest: str) -> str:
    raise Refusal(
        code="lease_spent",
        status=402,
        message="The balance is spent.",
        hint="Add funds.",
        limit_source="balance",
        field="amount",
        retry_after_s=7,
    )


@pytest.mark.parametrize("path", PATHS)
def test_a_breakage_says_its_id_and_nothing_else(
    rig: Rig, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    rig.app.register_blueprint(broken)

    with caplog.at_level(logging.ERROR):
        answer = rig.browser().get(f"{path}/fault")

    assert answer.status_code == 500
    assert "db-3" not in answer.text
    assert answer.headers["X-Request-Id"] in answer.text
    assert "the disk of db-3 is on fire" in caplog.text


def test_refusals_of_pages_are_pages_with_the_remedy(rig: Rig) -> None:
    rig.app.register_blueprint(broken)

    answer = rig.browser().get("/broken/refusal")

    assert answer.status_code == 402
    assert answer.mimetype == "text/html"
    assert "The balance is spent." in answer.text
    assert "Add funds." in answer.text
    assert "Nothing was changed and nothing was charged." in answer.text
    assert answer.headers["Retry-After"] == "7"


def test_refusals_of_the_api_come_in_its_envelope(rig: Rig) -> None:
    rig.app.register_blueprint(broken)

    answer = rig.browser().get("/api/v1/broken/refusal")

    assert json.loads(answer.data) == {
        "ok": False,
        "error": {
            "code": "lease_spent",
            "message": "The balance is spent.",
            "hint": "Add funds.",
            "retryable": False,
            "limit_source": "balance",
            "field": "amount",
        },
        "request_id": answer.headers["X-Request-Id"],
    }


def test_refusals_of_openai_paths_are_shaped_as_its_clients_expect(rig: Rig) -> None:
    rig.app.register_blueprint(broken)

    answer = rig.browser().get("/api/v1/chat/broken/refusal")

    error = json.loads(answer.data)["error"]
    assert error["type"] == "insufficient_quota"
    assert error["code"] == "lease_spent"
    assert error["param"] == "amount"
    assert error["limit_source"] == "balance"


def test_refusals_to_nodes_are_problem_documents(rig: Rig) -> None:
    rig.app.register_blueprint(broken)

    answer = rig.browser().get("/node/v1/broken/refusal")

    assert answer.content_type == "application/problem+json"
    problem = json.loads(answer.data)
    assert problem["status"] == 402
    assert problem["code"] == "lease_spent"
    assert problem["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/%2e%2e/etc/passwd",
        "/static/../app.py",
        "/a%00b",
        "/nodes/",
        "/access//api-keys",
    ],
)
def test_unknown_addresses_are_refused_as_such(rig: Rig, path: str) -> None:
    answer = rig.browser().get(path)

    assert answer.status_code == 404


def test_a_wrong_method_is_refused_as_such(rig: Rig) -> None:
    answer = rig.app.test_client().put("/api/v1/me", base_url=BASE_URL)

    assert answer.status_code == 405
    assert answer.json is not None
    assert answer.json["error"]["code"] == "method_not_allowed"


def test_a_body_over_the_limit_is_refused(rig: Rig) -> None:
    answer = rig.app.test_client().post(
        "/node/v1/enrol", base_url=BASE_URL, data=b"x" * (4 * 1024 * 1024 + 1)
    )

    assert answer.status_code == 413


def test_a_page_that_needs_a_session_sends_to_sign_in_and_back(rig: Rig) -> None:
    answer = rig.browser().get("/sites?after=x&y=z")

    assert answer.status_code == 303
    assert answer.headers["Location"] == "/login?next=%2Fsites%3Fafter%3Dx%26y%3Dz"


def test_a_poll_without_a_session_is_told_so_and_sent_nowhere(rig: Rig) -> None:
    answer = rig.browser().get("/nodes", HX_Request="true")

    assert answer.status_code == 401


def test_somebody_without_an_organization_is_sent_to_create_one(rig: Rig) -> None:
    answer = rig.signed_in().get("/sites")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/onboarding")


@pytest.mark.parametrize("path", ["/login", "/nowhere", "/api/v1/me", "/node/v1/enrol"])
def test_every_answer_carries_the_security_headers(rig: Rig, path: str) -> None:
    answer = rig.browser().get(path)

    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Request-Id"].startswith("r_")
    assert answer.headers["Strict-Transport-Security"]


def test_pages_tell_caches_what_they_depend_on(rig: Rig) -> None:
    answer = rig.browser().get("/login")

    assert {"HX-Request", "Cookie"} <= set(answer.vary)


def test_the_host_of_a_stranger_is_refused(rig: Rig) -> None:
    answer = rig.app.test_client().get("/login", base_url="https://evil.example")

    assert answer.status_code == 400
    assert "evil.example" not in answer.text


def test_headers_of_a_proxy_count_for_nothing_where_none_was_configured(rig: Rig) -> None:
    with rig.app.test_client() as client:
        client.get(
            "/login",
            base_url=BASE_URL,
            headers={
                "X-Forwarded-For": "198.51.100.9",
                "X-Forwarded-Host": "evil.example",
                "X-Forwarded-Proto": "http",
                "X-Forwarded-Prefix": "/evil",
            },
        )

        assert source_address() == "127.0.0.1"
        assert request.host == "registry.example"
        assert request.is_secure
        assert request.script_root == ""


def test_paths_of_openai_are_all_below_the_api() -> None:
    assert all(path.startswith(("/v1/", "/api/v1/")) for path in OPENAI_PATHS)
